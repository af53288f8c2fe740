package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// documentDBRecipe names what is prepared in the cache. To be changed with the
// recipe.
const documentDBRecipe = "documentdb-1"

// documentDBUser runs PostgreSQL, which refuses to be run by root. It is the
// number of nobody, so that no user is needed on the machine.
var documentDBUser = &account{65534, 65534}

// makeDocumentDB makes a root folder with PostgreSQL, DocumentDB and the data of a
// new server.
func makeDocumentDB(k *keeper) (string, error) {
	root, err := unpackSid(k, "postgresql-18-documentdb", "postgresql-18-postgis-3-scripts", "dash", "coreutils")
	if err != nil {
		return "", err
	}
	if err := completeRoot(root); err != nil {
		return "", err
	}
	bin, err := postgresIn(root)
	if err != nil {
		return "", err
	}
	// Inside, and as the user that the server will run as: the data is theirs.
	run := func(args ...string) error {
		return k.run(command{Args: args, Env: plainEnv(), Chroot: root}.as(documentDBUser))
	}
	err = run(bin+"/initdb", "--pgdata=/data", "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=4")
	if err != nil {
		return "", err
	}
	ports, port, err := freePort()
	if err != nil {
		return "", err
	}
	defer ports.release()
	c, err := documentDBCommand(root, "/data", port)
	if err != nil {
		return "", err
	}
	// The extension takes seconds to create, so that is part of the template.
	if err := k.spawn(c); err != nil {
		return "", err
	}
	if err := k.await(func() error { return askPostgres(port) }); err != nil {
		return "", fmt.Errorf("%w%s", err, tail(filepath.Join(k.dir, "log")))
	}
	err = run(bin+"/psql", "--quiet", "--host=127.0.0.1", "--port="+strconv.Itoa(port), "--username=postgres",
		"--set=ON_ERROR_STOP=1", "--command=CREATE EXTENSION documentdb CASCADE")
	if err != nil {
		return "", err
	}
	// Properly, so that a copy starts without a recovery.
	return root, run(bin+"/pg_ctl", "--pgdata=/data", "--mode=fast", "--wait", "stop")
}

// completeRoot does what the packages' own scripts would have done, as far as it
// is needed.
func completeRoot(root string) error {
	for path, text := range map[string]string{
		"etc/passwd": fmt.Sprintf("root:x:0:0::/:/bin/sh\npostgres:x:%d:%d::/:/bin/sh\n", documentDBUser.uid, documentDBUser.gid),
		"etc/group":  fmt.Sprintf("root:x:0:\npostgres:x:%d:\n", documentDBUser.gid),
		// Jobs of pg_cron look localhost up.
		"etc/hosts":         "127.0.0.1 localhost\n",
		"etc/nsswitch.conf": "hosts: files\n",
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	// The alternatives that postgis would have registered, and the shell.
	for _, link := range []struct{ from, to string }{
		{"usr/bin/sh", "dash"},
		{"usr/share/postgresql/18/extension/postgis.control", "postgis-3.control"},
	} {
		if path := filepath.Join(root, link.from); !exists(path) {
			if err := os.Symlink(link.to, path); err != nil {
				return err
			}
		}
	}
	// By cp, which makes a device like another without its numbers being told.
	for _, name := range []string{"null", "zero", "random", "urandom"} {
		out, err := exec.Command("cp", "-a", "/dev/"+name, filepath.Join(root, "dev")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("copy /dev/%s: %w: %s", name, err, out)
		}
	}
	for _, dir := range []string{"tmp", "dev/shm", "data"} {
		path := filepath.Join(root, dir)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		if err := documentDBUser.own(path); err != nil {
			return err
		}
	}
	return nil
}

// postgresIn is the folder of PostgreSQL's programs, as seen inside a root folder.
func postgresIn(root string) (string, error) {
	list := globs(filepath.Join(root, "usr/lib/postgresql/*/bin"))
	if len(list) != 1 {
		return "", fmt.Errorf("%d versions of PostgreSQL in %s; remove that folder", len(list), root)
	}
	bin, err := filepath.Rel(root, list[0])
	return "/" + bin, err
}

// documentDBCommand starts the PostgreSQL of a template, and of servers. What the
// extension needs is on the command line, so that old templates get it as well.
func documentDBCommand(root, data string, port int) (command, error) {
	bin, err := postgresIn(root)
	if err != nil {
		return command{}, err
	}
	// Paths are those inside: the folder is entered before the program is executed.
	c := postgresCommand(bin+"/postgres", data, port).as(documentDBUser)
	c.Chroot = root
	c.Args = append(c.Args,
		"-c", "shared_preload_libraries=pg_cron,pg_documentdb_core,pg_documentdb",
		"-c", "deadlock_timeout=50ms", // Inserts of one key meet in deadlocks, see the tests of mongo.
		"-c", "cron.database_name=postgres",
		// Jobs, such as the one that removes what has expired, were set up on another
		// port, and would be run by connecting to it.
		"-c", "cron.use_background_workers=on",
		"-c", "max_worker_processes=20",
	)
	return c, nil
}
