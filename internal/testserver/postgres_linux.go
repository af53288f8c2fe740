package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// startPostgres installs the package that has no version in its name: it is the one
// of this Debian's own version.
func startPostgres() (*Server, error) {
	var bin string
	err := installed(func() (err error) { bin, err = postgresPrograms(); return err }, "postgresql")
	if err != nil {
		return nil, err
	}
	version, err := versionOf(filepath.Join(bin, "postgres"))
	if err != nil {
		return nil, err
	}
	who, err := unprivileged("postgres") // It refuses to be run by root.
	if err != nil {
		return nil, err
	}
	template, err := postgresTemplate(bin, version, who)
	if err != nil {
		return nil, err
	}
	return fresh("", func(s *throwaway) (*Server, error) {
		data := s.path("data")
		if err := s.copy(template, data); err != nil {
			return nil, err
		}
		err := s.serve(program{
			command: func(port int) (command, error) {
				return postgresCommand(filepath.Join(bin, "postgres"), data, port).as(who), nil
			},
			ready: askPostgres,
		})
		return s.server("PostgreSQL "+version, postgresDSN(s.port)), err
	})
}

// postgresDSN has no password: whoever is on this machine may do anything to a
// database that lives for a test.
func postgresDSN(port int) string {
	return "postgres://postgres@" + loopback(port) + "/postgres?sslmode=disable"
}

// postgresPrograms finds the folder of the latest version. Debian keeps versions
// side by side and out of the PATH.
func postgresPrograms() (string, error) {
	best, bin := 0, ""
	for _, dir := range globs("/usr/lib/postgresql/*/bin") {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err == nil && version > best && exists(filepath.Join(dir, "initdb")) {
			best, bin = version, dir
		}
	}
	if bin != "" {
		return bin, nil
	}
	path, err := programPath("initdb")
	return filepath.Dir(path), err
}

// globs is filepath.Glob with a pattern that is right.
func globs(pattern string) []string {
	list, err := filepath.Glob(pattern)
	if err != nil {
		panic(err)
	}
	return list
}

// postgresTemplate is the data of a new server, whose making takes a second and
// whose copying a tenth.
func postgresTemplate(bin, version string, who *account) (string, error) {
	name := "postgres-" + version + "-data"
	if who != nil {
		// The files are theirs, who may be another one after a new installation.
		name += fmt.Sprintf("-%d", who.uid)
	}
	return prepared(name, func(k *keeper) (string, error) {
		// Not in the cache folder, which may be out of reach for that user.
		tmp, err := newKeeper("")
		if err != nil {
			return "", err
		}
		defer tmp.close()
		data := filepath.Join(tmp.dir, "data")
		// Made here, as that user may not make it in the keeper's folder.
		if err := os.Mkdir(data, 0o700); err != nil {
			return "", err
		}
		if err := who.own(data); err != nil {
			return "", err
		}
		err = tmp.run(command{
			Args: []string{
				filepath.Join(bin, "initdb"), "--pgdata=" + data, "--username=postgres", "--auth=trust",
				"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=4",
			},
			Env: plainEnv(),
		}.as(who))
		if err != nil {
			return "", err
		}
		made := filepath.Join(k.dir, "data")
		return made, k.copy(data, made)
	})
}

// postgresCommand listens by TCP only: the paths of sockets are short, and those of
// temporary folders may be long.
//
// It loses nothing when processes are killed: then the system still
// has what was written, so fsync may be off.
func postgresCommand(path, data string, port int) command {
	return command{
		Args: []string{
			path, "-D", data, "-p", strconv.Itoa(port),
			"-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=",
			"-c", "fsync=off",
			// Several pools of a test are open at the same time.
			"-c", "max_connections=200",
			// Files that go with the folder, instead of shared memory that stays.
			"-c", "dynamic_shared_memory_type=mmap",
		},
		Env:  plainEnv(),
		Stop: stopPostgres,
	}
}

// copy copies a folder with owners and permissions, and where the file system can
// without copying the contents. Below the keeper, which ends it if the test ends.
func (k *keeper) copy(from, to string) error {
	cp, err := programPath("cp")
	if err != nil {
		return err
	}
	return k.run(command{Args: []string{cp, "-a", "--reflink=auto", from, to}, Env: plainEnv()})
}

// askWithin bounds one question to a server that may not be ready.
const askWithin = 2 * time.Second
