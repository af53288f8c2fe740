package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/backendtest"
	"github.com/flamego/session/internal/sqlstore"
)

func TestDocumentedSchema(t *testing.T) {
	table, err := sqlstore.ParseTable(sqlstore.DefaultTable, '"')
	require.NoError(t, err)
	backendtest.DocumentedSchema(t, "postgres.md", dialect.Schema(table))
}
