package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/x/mongo/driver/topology"

	"github.com/flamego/session/internal/outage"
)

// prepare creates the indexes, unless that has been done. Several servers may do so at
// once.
func (b *backend) prepare(ctx context.Context) error {
	if b.prepared.Load() {
		return nil
	}
	_, err := b.sessions.Indexes().CreateMany(ctx, []mongo.IndexModel{
		{Keys: bson.D{{Key: "key", Value: 1}}, Options: options.Index().SetUnique(true)},
		{Keys: bson.D{{Key: "expired_at", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(0)},
	})
	if err == nil {
		b.shares.Store(!isSharded(ctx, b.sessions.Database()))
		b.prepared.Store(true)
		return nil
	}
	what := fmt.Sprintf("mongo: the indexes of the collection %q (Config.Collection) cannot be created", b.sessions.Name())
	const same = "remove documents with the same key, as v1.6.6 could leave, or all documents, which signs everybody out"
	var answer mongo.ServerError
	isAnswer := errors.As(err, &answer)
	switch {
	case isUnavailable(err):
		return fmt.Errorf("%s: %w", what, outage.Mark(err))
	case mongo.IsDuplicateKeyError(err): // Its text has an ID in it.
		return fmt.Errorf("%s: %s", what, same)
	case isAnswer && answer.HasErrorCode(codeInternal): // The same, from FerretDB.
		return fmt.Errorf("%s: unless the cause is in the server itself, %s: %w", what, same, err)
	case isAnswer && (answer.HasErrorCode(codeIndexOptions) || answer.HasErrorCode(codeIndexKeys)):
		return fmt.Errorf("%s: it has an index on key or expired_at with other options: drop that: %w", what, err)
	case isAnswer && answer.HasErrorCode(codeUnauthorized), strings.Contains(err.Error(), "auth error"):
		return fmt.Errorf("%s: check the user in Config.Options or Config.Client, which needs the role readWrite: %w", what, err)
	}
	return fmt.Errorf("%s: check Config.Database, and Config.Options or Config.Client: %w", what, err)
}

// isUnavailable reports whether an error passes by itself.
func isUnavailable(err error) bool {
	// Of servers that cannot be used, what each has said last tells more than that the time
	// was over.
	var none topology.ServerSelectionError
	if errors.As(err, &none) {
		is := len(none.Desc.Servers) == 0
		for _, s := range none.Desc.Servers {
			is = is || s.LastError == nil || isUnavailable(s.LastError)
		}
		return is
	}
	if outage.Is(err) || mongo.IsTimeout(err) {
		return true
	}
	var answer mongo.ServerError
	return errors.As(err, &answer) && slices.ContainsFunc(codesUnavailable, answer.HasErrorCode)
}

// isSharded reports whether the server distributes what it stores over others, or cannot
// tell, as before MongoDB 5.0.
func isSharded(ctx context.Context, db *mongo.Database) bool {
	var hello struct {
		Msg string `bson:"msg"`
	}
	err := db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return err != nil || hello.Msg == "isdbgrid"
}

// Codes of errors: MongoDB's, and the SQLSTATE 40P01 of PostgreSQL, as FerretDB has it.
const (
	codeInternal     = 1
	codeUnauthorized = 13
	codeIndexOptions = 85
	codeIndexKeys    = 86
	codeDeadlock     = 16908292
)

// codesUnavailable are those of errors that pass by themselves.
var codesUnavailable = []int{
	6, 7, 89, 9001, // other members cannot be reached
	91, 11600, // shutting down
	189, 10107, 13435, 13436, 11602, 133, // another primary is being chosen
	50, 262, 202, // time-outs
}
