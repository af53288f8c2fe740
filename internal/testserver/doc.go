// Package testserver gives tests of backends the servers they need.
//
//	dsn := testserver.Postgres.Get(t).DSN // shared with other tests
//
//	s := testserver.Postgres.Start(t) // of this test alone, stopped with it
//	s.Kill(t)
//
// Get takes the server that an environment variable names: see Kinds. make test sets
// them all, by command up. Without the variable Get starts a server that ends with
// the process.
//
// Servers are started on Linux, in a temporary folder and on 127.0.0.1. On Debian,
// root gets installed what is missing, by install.sh: PostgreSQL, MariaDB and Redis
// as packages, MySQL and FerretDB into the cache folder, which takes half a minute
// each, once. That folder is $FLAMEGO_SESSION_CACHE, or flamego-session-testserver in
// the user's cache folder.
//
// A test that gets no server is skipped, with a reason that begins with
// "NOT TESTED: ". With REQUIRE_ALL=1 it fails. With -short only servers named in
// the environment are used.
//
// What a server has acknowledged survives Kill, but not a crash of the machine:
// nothing waits for the disk.
package testserver
