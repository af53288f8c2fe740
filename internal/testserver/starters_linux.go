package testserver

// starters start a fresh server of each kind, by kind.name.
var starters = map[string]func() (*Server, error){
	"postgres":       startPostgres,
	"mariadb":        startMariaDB,
	"mysql":          startMySQL,
	"redis":          startRedis,
	"redis-tls":      startRedisTLS,
	"redis-cluster":  startRedisCluster,
	"redis-sentinel": startRedisSentinel,
	"mongo":          startMongo,
}
