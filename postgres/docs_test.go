package postgres

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/sqlstore"
)

// TestDocumentedSchema compares the SQL in the guide with what InitTable does.
func TestDocumentedSchema(t *testing.T) {
	page, err := os.ReadFile("../docs/backends/postgres.md")
	require.NoError(t, err)
	plain := func(sql string) string {
		return strings.Join(strings.Fields(regexp.MustCompile(`-- .*`).ReplaceAllString(sql, "")), "")
	}
	table, err := sqlstore.ParseTable(sqlstore.DefaultTable, '"')
	require.NoError(t, err)
	for _, sql := range dialect.Schema(table) {
		assert.Contains(t, plain(string(page)), plain(sql)+";")
	}
}
