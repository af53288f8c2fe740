package mysql

import (
	"os"
	"testing"
)

func serverDSN(t *testing.T) string {
	t.Helper()
	return os.Getenv("TEST_MARIADB_DSN")
}
