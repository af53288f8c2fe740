package sqlite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/sqlstore"
	"github.com/flamego/session/test/backendtest"
)

func TestDocumentedSchema(t *testing.T) {
	table, err := sqlstore.ParseTable(sqlstore.DefaultTable, '"')
	require.NoError(t, err)
	backendtest.DocumentedSchema(t, "sqlite.md", dialect.Schema(table))
}
