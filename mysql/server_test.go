package mysql

import (
	"testing"

	"github.com/flamego/session/internal/testserver"
)

// TestMariaDB and TestMySQL run everything on one server each.
func TestMariaDB(t *testing.T) { all(t, testserver.MariaDB.Get(t).DSN) }

func TestMySQL(t *testing.T) { all(t, testserver.MySQL.Get(t).DSN) }

func all(t *testing.T, dsn string) {
	t.Run("Contract", func(t *testing.T) { testContract(t, dsn) })
	t.Run("Conformance", func(t *testing.T) { testConformance(t, dsn) })
	t.Run("Processes", func(t *testing.T) { testProcesses(t, dsn) })
	t.Run("Encryption", func(t *testing.T) { testRawStorage(t, dsn) })
	t.Run("Withdrawn", func(t *testing.T) { testWithdrawn(t, dsn) })
	t.Run("WrongConfig", func(t *testing.T) { testWrongConfig(t, dsn) })
	t.Run("Connections", func(t *testing.T) { testConnections(t, dsn) })
	t.Run("Autocommit", func(t *testing.T) { testAutocommit(t, dsn) })
	t.Run("CharacterSets", func(t *testing.T) { testCharacterSets(t, dsn) })
	t.Run("Names", func(t *testing.T) { testNames(t, dsn) })
	t.Run("Sizes", func(t *testing.T) { testSizes(t, dsn) })
	t.Run("View", func(t *testing.T) { testView(t, dsn) })
	t.Run("LegacyTable", func(t *testing.T) { testLegacyTable(t, dsn) })
	t.Run("SweepBatches", func(t *testing.T) { testSweepBatches(t, dsn) })
}
