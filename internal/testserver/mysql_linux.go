package testserver

import (
	"fmt"
	"path/filepath"
	"slices"
)

// mysqlRecipe names what is prepared in the cache. To be changed with the recipe.
const mysqlRecipe = "mysql-1"

// startMySQL runs the server from sid with the libraries that it was built with,
// through their own loader.
func startMySQL() (*Server, error) {
	root, err := prepared(mysqlRecipe, func(k *keeper) (string, error) {
		root, err := unpackSid(k, "mysql-server-core")
		if err != nil {
			return "", err
		}
		args, err := mysqlProgram(root)
		if err != nil {
			return "", err
		}
		// Making the data takes two seconds, so that is part of what is prepared.
		args = slices.Concat(args, mysqlUser(), []string{
			"--initialize-insecure", "--datadir=" + filepath.Join(root, "data"), mysqlLogSize("innodb-redo-log-capacity"),
		})
		return root, k.run(command{Args: args, Env: plainEnv()})
	})
	if err != nil {
		return nil, err
	}
	args, err := mysqlProgram(root)
	if err != nil {
		return nil, err
	}
	version, err := versionOf(args[0], args[1:]...)
	if err != nil {
		return nil, err
	}
	return fresh("", func(s *throwaway) (*Server, error) {
		if err := s.copy(filepath.Join(root, "data"), s.path("data")); err != nil {
			return nil, err
		}
		if err := s.writeSQLInit(); err != nil {
			return nil, err
		}
		err := s.serve(program{
			command: func(port int) (command, error) {
				// Without a second port, and without statistics, which take memory and time.
				args := slices.Concat(args, s.mysqlArgs(port), []string{"--mysqlx=OFF", "--performance-schema=OFF"})
				return command{Args: args, Env: plainEnv()}, nil
			},
			ready: askMySQL,
		})
		return s.server("MySQL "+version, mysqlDSN(s.port)), err
	})
}

// mysqlProgram is the beginning of its command line.
func mysqlProgram(root string) ([]string, error) {
	loaders := globs(filepath.Join(root, "usr/lib/*-linux-gnu/ld-linux-*.so.*"))
	if len(loaders) != 1 {
		return nil, fmt.Errorf("%d loaders in %s; remove that folder", len(loaders), root)
	}
	// It was built for /usr, and looks there unless told.
	share := filepath.Join(root, "usr/share/mysql")
	return []string{
		loaders[0], "--library-path", filepath.Dir(loaders[0]),
		filepath.Join(root, "usr/sbin/mysqld"), "--no-defaults",
		"--lc-messages-dir=" + share,
		"--character-sets-dir=" + filepath.Join(share, "charsets"),
		"--plugin-dir=" + filepath.Join(root, "usr/lib/mysql/plugin"),
		"--secure-file-priv=NULL",
	}, nil
}
