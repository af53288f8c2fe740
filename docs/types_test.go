package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTypes checks that the types which need no gob.Register are all listed.
func TestTypes(t *testing.T) {
	page, err := os.ReadFile("getting-started.md")
	require.NoError(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/gobstream/register.go", nil, 0)
	require.NoError(t, err)
	listed := 0
	ast.Inspect(file, func(n ast.Node) bool {
		list, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, elt := range list.Elts {
			var typ ast.Expr
			switch v := elt.(type) {
			case *ast.CompositeLit: // map[string]int{}
				typ = v.Type
			case *ast.CallExpr: // time.Duration(0)
				typ = v.Fun
			}
			listed++
			assert.Contains(t, string(page), "`"+types.ExprString(typ)+"`")
		}
		return false
	})
	assert.Greater(t, listed, 20, "the types were not found")
}
