package postgres

import (
	"testing"

	"github.com/flamego/session/internal/testserver"
)

// TestPostgres runs everything on one server.
func TestPostgres(t *testing.T) {
	dsn := testserver.Postgres.Get(t).DSN
	t.Run("Contract", func(t *testing.T) { testContract(t, dsn) })
	t.Run("Conformance", func(t *testing.T) { testConformance(t, dsn) })
	t.Run("Processes", func(t *testing.T) { testProcesses(t, dsn) })
	t.Run("Encryption", func(t *testing.T) { testRawStorage(t, dsn) })
	t.Run("Withdrawn", func(t *testing.T) { testWithdrawn(t, dsn) })
	t.Run("WrongConfig", func(t *testing.T) { testWrongConfig(t, dsn) })
	t.Run("StartBlocksNobody", func(t *testing.T) { testStartBlocksNobody(t, dsn) })
	t.Run("ReadOnly", func(t *testing.T) { testReadOnly(t, dsn) })
	t.Run("Alter", func(t *testing.T) { testAlter(t, dsn) })
	t.Run("Formats", func(t *testing.T) { testFormats(t, dsn) })
	t.Run("Names", func(t *testing.T) { testNames(t, dsn) })
	t.Run("Sizes", func(t *testing.T) { testSizes(t, dsn) })
	t.Run("Taken", func(t *testing.T) { testTaken(t, dsn) })
	t.Run("Pool", func(t *testing.T) { testPool(t, dsn) })
	t.Run("SweepBatches", func(t *testing.T) { testSweepBatches(t, dsn) })
	t.Run("ManyByIndex", func(t *testing.T) { testManyByIndex(t, dsn) })
	t.Run("Together", func(t *testing.T) { testTogether(t, dsn) })
	t.Run("LegacyTable", func(t *testing.T) { testLegacyTable(t, dsn) })
}
