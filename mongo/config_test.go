package mongo

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readpref"
	"go.mongodb.org/mongo-driver/mongo/writeconcern"

	"github.com/flamego/session"
	"github.com/flamego/session/test/backendtest"
)

// Wrong configurations are errors at the start, which name the field and the
// remedy.
func TestConfig(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	client := s.admin(t).Database().Client()
	at := func(uri string) *Options { return options.Client().ApplyURI(uri) }
	backendtest.WrongConfigs(t, "mongo", open, map[string]backendtest.Wrong[Config]{
		"nothing":        {Config: Config{}, Want: []string{"Config.Options is nil", "ApplyURI", "Config.Client"}},
		"two":            {Config: Config{Options: at(s.URI), Client: client, Database: s.Database}, Want: []string{"both Options and Client", "set only"}},
		"database":       {Config: Config{Options: at(s.URI)}, Want: []string{"Config.Database is empty", "name of the database"}},
		"database too":   {Config: Config{Client: client}, Want: []string{"Config.Database is empty"}},
		"scheme":         {Config: Config{Options: at("http://localhost"), Database: "x"}, Want: []string{"Config.Options are not valid", "scheme"}},
		"unacknowledged": {Config: Config{Options: at(s.URI).SetWriteConcern(writeconcern.Unacknowledged()), Database: s.Database}, Want: []string{"unacknowledged", "set another"}},
		"password": {Config: Config{Options: at(s.URI).SetAuth(options.Credential{Username: "nobody", Password: "x"}), Database: s.Database},
			Want: []string{"check the user in Config.Options", "readWrite"}},
		"name":       {Config: Config{Options: at(s.URI), Database: "no/such"}, Want: []string{"Config.Database", "no/such"}},
		"collection": {Config: Config{Options: at(s.URI), Database: s.Database, Collection: "a$b"}, Want: []string{"Config.Collection", "a$b"}},
	})
	require.NoError(t, client.Ping(ctx, nil), "the user's client was closed")
}

// A certificate that nobody knows is an error at start. The driver itself goes on trying.
func TestCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	o := options.Client().ApplyURI("mongodb://" + server.Listener.Addr().String()).SetTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12})
	_, _, err := open(t.Context(), Config{Options: o.SetServerSelectionTimeout(5 * time.Second), Database: "x"})
	require.ErrorContains(t, err, "Config.Options")
	require.ErrorContains(t, err, "x509: ")
}

// No error shows a password, also of a URI that is wrong.
func TestNoPassword(t *testing.T) {
	for _, uri := range []string{
		"mongodb://u:secret/127.0.0.1:1",
		"mongodb://u:secret#127.0.0.1:1",
		"mongodb://u:x/secret@127.0.0.1:1",
		"mongodb://u:x@secret@127.0.0.1:1",
		"mongodb://u:s%ecret@127.0.0.1:1",
		"mongo://u:secret@127.0.0.1:1",
	} {
		_, _, err := open(t.Context(), Config{Options: options.Client().ApplyURI(uri), Database: "x"})
		require.ErrorContains(t, err, "Config.Options")
		assert.NotContains(t, err.Error(), "secret")
	}
}

// indexes returns what there is: the keys of an index, and its further options.
func indexes(t *testing.T, coll *mongo.Collection) map[string]bson.M {
	t.Helper()
	cur, err := coll.Indexes().List(t.Context())
	require.NoError(t, err)
	var list []bson.M
	require.NoError(t, cur.All(t.Context(), &list))
	found := make(map[string]bson.M)
	for _, index := range list {
		found[index["name"].(string)] = index
	}
	return found
}

func TestIndexes(t *testing.T) {
	s := start(t)
	for range 2 { // The second start finds them.
		newBackend(t, s.config())
		is := indexes(t, s.admin(t))
		require.Contains(t, is, "key_1")
		require.Contains(t, is, "expired_at_1")
		assert.Equal(t, true, is["key_1"]["unique"])
		assert.EqualValues(t, 0, is["expired_at_1"]["expireAfterSeconds"])
		assert.Len(t, is, 3)
	}
}

// A collection that v1.6.6 wrote has no index, and so perhaps two documents of one
// session. The error must not show its ID.
func TestIndexesCannotBeMade(t *testing.T) {
	server := start(t)
	ctx := t.Context()
	t.Run("duplicates", func(t *testing.T) {
		s := server.fresh()
		secret := "abcdefghijklmnop"
		for range 2 {
			_, err := s.admin(t).InsertOne(ctx, append(key(secret), fields(record("x"))...))
			require.NoError(t, err)
		}
		_, _, err := open(ctx, s.config())
		for _, part := range []string{s.Collection, "Config.Collection", "remove documents with the same key"} {
			require.ErrorContains(t, err, part)
		}
		assert.NotContains(t, err.Error(), secret)
	})
	t.Run("without unique", func(t *testing.T) {
		s := server.fresh()
		_, err := s.admin(t).Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "key", Value: 1}}})
		require.NoError(t, err)
		_, _, err = open(ctx, s.config())
		require.ErrorContains(t, err, "other options: drop that")
	})
	t.Run("other time", func(t *testing.T) {
		s := server.fresh()
		_, err := s.admin(t).Indexes().CreateOne(ctx, mongo.IndexModel{
			Keys: bson.D{{Key: "expired_at", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(60),
		})
		require.NoError(t, err)
		_, _, err = open(ctx, s.config())
		require.ErrorContains(t, err, "other options: drop that")
	})
}

// What v1.6.6 stored is found, and replaced.
func TestOldDocuments(t *testing.T) {
	s := start(t)
	ctx, admin := t.Context(), s.admin(t)
	_, err := admin.InsertOne(ctx, bson.M{"key": "aaa", "data": []byte("1"), "expired_at": later.UTC()})
	require.NoError(t, err)
	b := newBackend(t, s.config())
	assert.Equal(t, "1", loadData(t, b, "aaa"))
	require.NoError(t, b.Replace(ctx, "aaa", record("1"), record("2")))
	var doc bson.M
	require.NoError(t, admin.FindOne(ctx, key("aaa")).Decode(&doc))
	delete(doc, "_id")
	assert.Equal(t, bson.M{"key": "aaa", "data": primitive.Binary{Data: []byte("2")}, "expired_at": primitive.NewDateTimeFromTime(later)}, doc)
}

func TestSettings(t *testing.T) {
	s := start(t)
	o := options.Client().ApplyURI(s.URI)
	b := newBackend(t, Config{Options: o, Database: s.Database})
	assert.Equal(t, "sessions", b.sessions.Name())
	assert.Nil(t, o.RetryWrites, "the user's Options were changed")
	assert.Nil(t, o.ServerSelectionTimeout, "the user's Options were changed")

	// A client of an application that reads from secondaries, and wants its writes
	// acknowledged by one server.
	o.SetReadPreference(readpref.SecondaryPreferred()).SetWriteConcern(writeconcern.W1())
	client, err := mongo.Connect(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Disconnect(t.Context())) })
	b = newBackend(t, Config{Client: client, Database: s.Database})
	require.NoError(t, b.Create(t.Context(), "aaa", record("1")))
	assert.Equal(t, "1", loadData(t, b, "aaa"))
}

func TestClose(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	b, _, err := open(ctx, s.config())
	require.NoError(t, err)
	require.NoError(t, b.Close())
	_, err = b.Load(ctx, "aaa")
	require.ErrorIs(t, err, mongo.ErrClientDisconnected)

	client := s.admin(t).Database().Client()
	b, _, err = open(ctx, Config{Client: client, Database: s.Database})
	require.NoError(t, err)
	require.NoError(t, b.Close())
	require.NoError(t, client.Ping(ctx, nil), "the user's client was closed")
}

func TestIniter(t *testing.T) {
	s := start(t)
	cfg := s.config()
	backendtest.NoConfig(t, Initer(), "mongo.Config")
	cfg.Lifetime = time.Minute
	backendtest.Initer(t, Initer(), cfg, func(id string) time.Time {
		var doc struct {
			Expiry time.Time `bson:"expired_at"`
		}
		require.NoError(t, s.admin(t).FindOne(t.Context(), key(id)).Decode(&doc))
		return doc.Expiry
	})
}

// TestDropped drops the collection while a server runs. The next sweep creates the indexes
// again.
func TestDropped(t *testing.T) {
	s := start(t)
	b := newBackend(t, s.config())
	require.NoError(t, b.Create(t.Context(), "abc", record("0")))
	require.NoError(t, s.admin(t).Drop(t.Context()))
	_, err := b.DeleteExpired(t.Context(), time.Now(), 1000)
	require.NoError(t, err)
	require.NoError(t, b.Create(t.Context(), "abc", record("1")))
	assert.ErrorIs(t, b.Create(t.Context(), "abc", record("2")), session.ErrExists)
}

// What is stored can be replaced, moved, touched and deleted, and what could not is refused.
func TestSizes(t *testing.T) {
	ctx, b := t.Context(), newBackend(t, start(t).config())
	full := func(c string) session.Record { return record(string(bytes.Repeat([]byte(c), maxData))) }
	require.NoError(t, b.Create(ctx, "aaa", full("0")))
	require.NoError(t, b.Replace(ctx, "aaa", full("0"), full("1")))
	id := strings.Repeat("b", 128)
	require.NoError(t, b.Move(ctx, "aaa", id, full("1"), full("2")))
	require.NoError(t, b.Touch(ctx, id, full("2"), later))
	assert.True(t, loadData(t, b, id) == string(full("2").Data))

	large := record(string(make([]byte, maxData+1)))
	for name, err := range map[string]error{
		"Create":  b.Create(ctx, "ccc", large),
		"Replace": b.Replace(ctx, id, full("2"), large),
		"Move":    b.Move(ctx, id, "ccc", full("2"), large),
	} {
		require.ErrorContains(t, err, "keep large values elsewhere", name)
		backendtest.AssertOutage(t, err, name)
	}
	assert.True(t, loadData(t, b, id) == string(full("2").Data))
	require.NoError(t, b.Delete(ctx, id))
}

// The role that a user lacks while the server runs is named. FerretDB checks no roles.
func TestDenied(t *testing.T) {
	err := fail("load", mongo.CommandError{Code: codeUnauthorized, Message: "not authorized on app, the key is aaa"}, "aaa")
	assert.ErrorContains(t, err, "the user in Config.Options or Config.Client needs the role readWrite")
	assert.NotContains(t, err.Error(), "aaa")
}
