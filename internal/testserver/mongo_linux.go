package testserver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
)

// startMongo runs a PostgreSQL in a folder that it takes for the whole system, and
// FerretDB in front of it. The one listens on the port that is busOffset above the
// other's.
func startMongo() (*Server, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("its PostgreSQL needs chroot, and that takes root; set TEST_MONGODB_URI")
	}
	// Each takes a while the first time, one the network, the other the processor.
	var root, ferret string
	err := parallel([]func() error{
		func() (err error) { root, err = prepared(documentDBRecipe, makeDocumentDB); return err },
		func() (err error) { ferret, err = ferretDB(); return err },
	}, func(_ int, f func() error) error { return f() })
	if err != nil {
		return nil, err
	}
	version, err := ferretVersion()
	if err != nil {
		return nil, err
	}
	// The data must be inside of what PostgreSQL takes for the whole system.
	return fresh(filepath.Join(root, "srv"), func(s *throwaway) (*Server, error) {
		if err := s.copy(filepath.Join(root, "data"), s.path("data")); err != nil {
			return nil, err
		}
		if err := os.Mkdir(s.path("ferretdb"), 0o700); err != nil {
			return nil, err
		}
		inside := filepath.Join("/srv", filepath.Base(s.dir), "data")
		err := s.serve(
			program{
				command: func(port int) (command, error) { return documentDBCommand(root, inside, port+busOffset) },
				ready:   func(port int) error { return askPostgres(port + busOffset) },
			},
			program{
				command: func(port int) (command, error) {
					return command{
						Args: []string{
							ferret, "-listen", loopback(port), "-state", s.path("ferretdb"),
							"-postgres", postgresDSN(port + busOffset),
						},
						Env: plainEnv(),
					}, nil
				},
				ready: askMongo,
			},
		)
		return s.server("FerretDB "+version+" on DocumentDB", "mongodb://"+loopback(s.port)+"/"), err
	})
}

// ferretDB builds FerretDB from the module in folder ferretdb.
func ferretDB() (string, error) {
	// Not by go:embed, which leaves out what belongs to another module.
	_, file, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(file), "ferretdb")
	hash := sha256.New()
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", fmt.Errorf("the source of FerretDB's main package, which is not to be found with -trimpath: %w", err)
		}
		hash.Write(text)
	}
	// Another Go, or another FerretDB, builds anew; the old one stays until the cache
	// is removed.
	hash.Write([]byte(runtime.Version()))
	return prepared("ferretdb-"+hex.EncodeToString(hash.Sum(nil))[:12], func(k *keeper) (string, error) {
		goTool, err := exec.LookPath("go")
		if err != nil {
			return "", err
		}
		path := filepath.Join(k.dir, "ferretdb")
		return path, k.run(command{
			Args: []string{goTool, "build", "-o", path, "."},
			Dir:  source,
			// Settings for the test's own build, such as a workspace, are not for it.
			Env: append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0"),
		})
	})
}

// ferretVersion reads which FerretDB the module asks for.
func ferretVersion() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	mod, err := os.ReadFile(filepath.Join(filepath.Dir(file), "ferretdb", "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`FerretDB/v2 (v\S+)`).FindSubmatch(mod)
	if m == nil {
		return "", errors.New("no version of FerretDB in its go.mod")
	}
	return string(m[1]), nil
}
