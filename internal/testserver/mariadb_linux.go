package testserver

import (
	"os"
	"strconv"
)

// startMariaDB needs the packages that end in -core only: the server's own package
// would set up a database and a service.
func startMariaDB() (*Server, error) {
	paths := make(map[string]string)
	err := installed(func() error {
		return programPaths(paths, "mariadbd", "mariadb-install-db")
	}, "mariadb-server-core", "mariadb-client-core")
	if err != nil {
		return nil, err
	}
	// Nothing in /etc/mysql, which is for another server, may change anything.
	version, err := versionOf(paths["mariadbd"], "--no-defaults")
	if err != nil {
		return nil, err
	}
	template, err := mariadbTemplate(paths["mariadb-install-db"], version)
	if err != nil {
		return nil, err
	}
	return fresh("", func(s *throwaway) (*Server, error) {
		if err := s.copy(template, s.path("data")); err != nil {
			return nil, err
		}
		if err := s.writeSQLInit(); err != nil {
			return nil, err
		}
		err := s.serve(program{
			command: func(port int) (command, error) {
				args := append([]string{paths["mariadbd"], "--no-defaults"}, s.mysqlArgs(port)...)
				return command{Args: args, Env: plainEnv()}, nil
			},
			ready: askMySQL,
		})
		return s.server("MariaDB "+version, mysqlDSN(s.port)), err
	})
}

// mysqlDSN has a user with a password, as DSNs in production have.
func mysqlDSN(port int) string {
	return "session:session@tcp(" + loopback(port) + ")/session"
}

// mariadbTemplate is the data of a new server, whose making takes two seconds.
func mariadbTemplate(path, version string) (string, error) {
	return prepared("mariadb-"+version+"-data-"+strconv.Itoa(os.Getuid()), func(k *keeper) (string, error) {
		data := k.dir + "/data"
		// With --force it does not mind that the machine's own name leads nowhere, as
		// in some containers.
		return data, k.run(command{
			Args: append([]string{
				path, "--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal",
				"--force", "--skip-test-db", mysqlLogSize("innodb-log-file-size"),
			}, mysqlUser()...),
			Env: plainEnv(),
		})
	})
}

// mysqlUser lets root run a server, which it refuses unless told.
func mysqlUser() []string {
	if os.Getuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// mysqlLogSize keeps what is copied for each server small.
func mysqlLogSize(option string) string { return "--" + option + "=32M" }

// mysqlArgs are for MariaDB and MySQL alike. Nothing is lost when processes are
// killed: a committed transaction has been written, and flushed once a second.
func (s *throwaway) mysqlArgs(port int) []string {
	return append([]string{
		"--datadir=" + s.path("data"),
		"--bind-address=127.0.0.1",
		"--port=" + strconv.Itoa(port),
		"--socket=" + s.path("s"),
		"--pid-file=" + s.path("pid"),
		"--init-file=" + s.path("init.sql"),
		"--innodb-flush-log-at-trx-commit=2",
		"--skip-log-bin",
		// 127.0.0.1 must not become localhost, whose accounts are others.
		"--skip-name-resolve",
	}, mysqlUser()...)
}

// writeSQLInit writes what the server executes whenever it starts, before it takes
// connections. This way no client program is needed to create the database.
func (s *throwaway) writeSQLInit() error {
	return os.WriteFile(s.path("init.sql"), []byte(`CREATE DATABASE IF NOT EXISTS session;
CREATE USER IF NOT EXISTS 'session'@'%' IDENTIFIED BY 'session';
GRANT ALL ON *.* TO 'session'@'%';
`), 0o600)
}
