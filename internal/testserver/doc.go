// Package testserver gives tests of backends the servers they need.
//
//	func TestSuite(t *testing.T) {
//		s := testserver.Postgres(t) // stopped when the test ends
//		…
//		s.Kill(t)
//	}
//
// # Where servers come from
//
// A server is looked for in this order:
//
//  1. An environment variable names one that runs: TEST_POSTGRES_DSN,
//     TEST_MARIADB_DSN, TEST_MYSQL_DSN, TEST_REDIS_ADDR, TEST_REDIS_CLUSTER_ADDRS,
//     TEST_REDIS_SENTINEL_ADDRS (with TEST_REDIS_SENTINEL_MASTER, default
//     mymaster), TEST_MONGODB_URI. Lists are separated by commas. Such a server is
//     not fresh, other tests use it at the same time, and there are no outages.
//  2. Installed binaries are started, in a temporary folder and on 127.0.0.1.
//  3. On Debian, root installs them first. MySQL, and FerretDB for MongoDB's
//     protocol, are in no stable Debian: they are prepared in the cache folder and
//     nothing is installed. That takes about half a minute for MySQL and two
//     minutes for FerretDB, once.
//
// A test that gets no server is skipped, with a reason that begins with
// "NOT TESTED: ". With REQUIRE_ALL=1 it fails. With -short only servers named in
// the environment are used. Servers are started on Linux only.
//
// The cache folder is $FLAMEGO_SESSION_CACHE, or flamego-session-testserver in the
// user's cache folder. It may be removed when no test runs.
//
// # How nothing is left behind
//
// Every server runs below a keeper: a process that is this test binary, executed
// once more, which does nothing but start, signal and end the server. A keeper
// reads its orders from a pipe, and when the pipe ends, because the test has ended
// in whatever way, it ends the server and removes its folder. That is why a
// program that imports this package must not be surprised to be executed with
// TESTSERVER_KEEPER in its environment: it never reaches main.
//
// # Durability
//
// What a server has acknowledged survives Kill, but not a crash of the machine:
// nothing waits for the disk.
//
// All functions may be called concurrently, as far as t.FailNow allows it.
package testserver
