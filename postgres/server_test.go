package postgres

import (
	"os"
	"testing"
)

func serverDSN(t *testing.T) string {
	t.Helper()
	return os.Getenv("TEST_POSTGRES_DSN")
}
