package testserver

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // for readiness, as the others
	_ "github.com/jackc/pgx/v5/stdlib"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

// The kinds of server, see also the ones of Redis.
var (
	Postgres = &Kind{
		Name: "postgres", Env: "TEST_POSTGRES_DSN", dsn: "postgres://postgres@ADDR/postgres?sslmode=disable",
		script: postgresScript, ask: askSQL("pgx"),
	}
	// Nothing in /etc/mysql, which is for another server, may change anything.
	MariaDB = &Kind{
		Name: "mariadb", Env: "TEST_MARIADB_DSN", dsn: mysqlDSN, ask: askSQL("mysql"), script: `
MAKE='mariadb-install-db --no-defaults --auth-root-authentication-method=normal --force --skip-test-db'
SERVE='mariadbd --no-defaults'` + mysqlScript,
	}
	// MySQL is version 9 or later: without a second port, and without statistics,
	// which take memory and time.
	MySQL = &Kind{
		Name: "mysql", Env: "TEST_MYSQL_DSN", dsn: mysqlDSN, ask: askSQL("mysql"), script: `
MAKE='mysqld --initialize-insecure' SERVE='mysqld --mysqlx=OFF --performance-schema=OFF'` + mysqlScript,
	}
	// Mongo is a server of MongoDB's wire protocol: FerretDB on PostgreSQL with
	// DocumentDB, since MongoDB itself is in no Debian. Its transactions over several
	// documents are not real ones. The folder is in what that PostgreSQL takes for the
	// whole system.
	Mongo = &Kind{
		Name: "mongo", Env: "TEST_MONGODB_URI", dsn: "mongodb://ADDR/",
		script: mongoScript, parent: filepath.Join(cacheDir(), "mongo-2", "srv"), ask: askMongo,
	}
)

const mysqlDSN = "session:session@tcp(ADDR)/session"

// The scripts make the data when there is none yet. What a server has acknowledged
// survives its death, as it is with the system; nothing need wait for the disk.
//
// PostgreSQL refuses to be run by root. Debian has its versions side by side and out
// of the PATH. It listens by TCP only: the paths of sockets are short. With mmap it
// has files that go with the folder, instead of shared memory that stays.
const postgresScript = `
PATH=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH as=
if [ "$(id -u)" = 0 ]; then
	chown postgres .
	as='setpriv --reuid=postgres --regid=postgres --clear-groups --pdeathsig=KILL'
fi
[ -e data ] || $as initdb --pgdata=data --username=postgres --auth=trust --encoding=UTF8 \
	--locale=C.UTF-8 --no-sync --wal-segsize=4
exec $as postgres -D data -p $PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
	-c max_connections=300 -c dynamic_shared_memory_type=mmap ${OPTIONS:-}`

// FerretDB is in front of a PostgreSQL that takes a folder of the cache for the whole
// system. Changes of one key meet in deadlocks there: they should be found soon. Its jobs,
// such as the one that removes what has expired, are not to connect to a port.
const mongoScript = `
chown 65534:65534 .
db=$((PORT + 10000))
IN=/srv/${PWD##*/} PORT=$db OPTIONS="-c shared_preload_libraries=pg_cron,pg_documentdb_core,pg_documentdb -c deadlock_timeout=50ms
	-c cron.database_name=postgres -c cron.use_background_workers=on -c max_worker_processes=20" \
	chroot --userspec=65534:65534 ../.. /bin/sh -eu <<'CHROOT' &
cd $IN
until /usr/lib/postgresql/*/bin/psql --host=127.0.0.1 --port=$PORT --username=postgres --quiet \
	--command='CREATE EXTENSION IF NOT EXISTS documentdb CASCADE'; do sleep 0.1; done &` + postgresScript + `
CHROOT
exec ferretdb --listen-addr=127.0.0.1:$PORT --postgresql-url="postgres://postgres@127.0.0.1:$db/postgres" --state-dir="$PWD" --no-auth --telemetry=disable \
	--debug-addr=- --log-level=WARN`

// mysqlScript is for MariaDB and MySQL alike. With skip-name-resolve 127.0.0.1 does
// not become localhost, whose accounts are others. The init-file is executed before
// the server takes connections.
const mysqlScript = `
as=
[ "$(id -u)" != 0 ] || as=--user=root
[ -e data ] || $MAKE --datadir="$PWD/data" $as
cat >init.sql <<SQL
CREATE DATABASE IF NOT EXISTS session;
CREATE USER IF NOT EXISTS 'session'@'%' IDENTIFIED BY 'session';
GRANT ALL ON *.* TO 'session'@'%' WITH GRANT OPTION;
SQL
exec $SERVE --datadir="$PWD/data" --bind-address=127.0.0.1 --port=$PORT --socket="$PWD/s" --pid-file="$PWD/pid" \
	--init-file="$PWD/init.sql" --innodb-flush-log-at-trx-commit=2 --skip-log-bin --skip-name-resolve \
	--max-connections=300 $as`

// PgBouncer starts one in transaction mode in front of the PostgreSQL of a DSN, and returns
// it with the user's password "session" and the database "app".
func PgBouncer(t testing.TB, dsn string) *Server {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	user := u.User.Username()
	conf := fmt.Sprintf("app = host=%s port=%s dbname=%s user=%s", u.Hostname(), u.Port(), strings.TrimPrefix(u.Path, "/"), user)
	if password, ok := u.User.Password(); ok {
		conf += " password=" + password
	}
	k := &Kind{
		Name: "pgbouncer", dsn: "postgres://" + user + ":session@ADDR/app?sslmode=disable", script: pgBouncerScript, conf: conf,
		ask: func(ctx context.Context, dsn string) error { // The server behind it may be down.
			_, addr, _ := strings.Cut(dsn, "@")
			addr, _, _ = strings.Cut(addr, "/")
			c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return c.Close()
		},
	}
	return k.Start(t)
}

// It refuses to be run by root, too.
const pgBouncerScript = `
as=
if [ "$(id -u)" = 0 ]; then
	chown 65534:65534 .
	as='setpriv --reuid=65534 --regid=65534 --clear-groups --pdeathsig=KILL'
fi
echo "\"$(echo "$CONF" | sed 's/.*user=\([^ ]*\).*/\1/')\" \"session\"" >users
cat >ini <<INI
[databases]
$CONF
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $PORT
unix_socket_dir =
auth_type = plain
auth_file = users
pool_mode = transaction
default_pool_size = 2
INI
exec $as pgbouncer ini`

// askSQL asks by a driver of database/sql.
func askSQL(driver string) func(ctx context.Context, dsn string) error {
	return func(ctx context.Context, dsn string) error {
		db, err := sql.Open(driver, dsn)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		_, err = db.ExecContext(ctx, "SELECT 1")
		return err
	}
}

func askMongo(ctx context.Context, dsn string) error {
	c, err := mongo.Connect(ctx, options.Client().ApplyURI(dsn))
	if err != nil {
		return err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	return c.Ping(ctx, nil)
}
