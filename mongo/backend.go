package mongo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/outage"
)

var (
	_ driver.Backend    = (*backend)(nil)
	_ driver.LoadSharer = (*backend)(nil)
	_ driver.Counter    = (*backend)(nil)
)

// document is a session, unless its fields are of other types.
type document struct {
	Key    string        `bson:"key"`
	Data   bson.RawValue `bson:"data"`
	Expiry bson.RawValue `bson:"expired_at"`
}

// record returns ErrNotFound for a document that is no session: another error would lock
// its visitor out.
func (d *document) record() (driver.Record, error) {
	subtype, data, isBinary := d.Data.BinaryOK()
	ms, isTime := d.Expiry.DateTimeOK()
	// The bytes of another subtype would match no filter.
	if !isBinary || subtype != bson.TypeBinaryGeneric || !isTime {
		return driver.Record{}, driver.ErrNotFound
	}
	return driver.Record{Data: data, Expiry: time.UnixMilli(ms)}, nil
}

// Load implements driver.Backend.
func (b *backend) Load(ctx context.Context, id string) (driver.Record, error) {
	var doc document
	err := b.sessions.FindOne(ctx, byKey(id), load).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return driver.Record{}, driver.ErrNotFound
	}
	if err != nil {
		return driver.Record{}, fail("load", err, id)
	}
	return doc.record()
}

var load = options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 0}, {Key: "data", Value: 1}, {Key: "expired_at", Value: 1}})

// SharesLoads implements driver.LoadSharer. With shards, one that is down would keep the
// sessions of others waiting.
func (b *backend) SharesLoads() bool { return b.shares.Load() }

// MovesInOneStep implements driver.OneStepMover: see Move.
func (b *backend) MovesInOneStep() bool { return true }

// LoadMany implements driver.ManyLoader. The batch is large enough for the usual owner's
// sessions, so that there is one round trip.
func (b *backend) LoadMany(ctx context.Context, ids []string) (map[string]driver.Record, error) {
	if ids == nil {
		ids = []string{} // $in needs an array.
	}
	cur, err := b.sessions.Find(ctx, bson.D{{Key: "key", Value: bson.D{{Key: "$in", Value: ids}}}}, loadMany)
	if err != nil {
		return nil, fail("load many", err, ids...)
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }()
	found := make(map[string]driver.Record, len(ids))
	for cur.Next(ctx) {
		var doc document
		if err := cur.Decode(&doc); err != nil {
			return nil, fail("load many", err, ids...)
		}
		_, known := found[doc.Key] // As v1.6.6 could leave. The first counts, as in Load.
		if r, err := doc.record(); err == nil && !known {
			found[doc.Key] = r
		}
	}
	if err := cur.Err(); err != nil {
		return nil, fail("load many", err, ids...)
	}
	return found, nil
}

var loadMany = options.Find().SetProjection(bson.D{{Key: "_id", Value: 0}, {Key: "key", Value: 1}, {Key: "data", Value: 1}, {Key: "expired_at", Value: 1}})

// Create implements driver.Backend. The unique index decides between calls with the same
// ID, so it must exist.
func (b *backend) Create(ctx context.Context, id string, r driver.Record) error {
	if err := fits(r); err != nil {
		return fail("create", err)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	doc := append(byKey(id), fields(r)...)
	err := b.insist(ctx, func() error {
		_, err := b.sessions.InsertOne(ctx, doc)
		return err
	})
	if mongo.IsDuplicateKeyError(err) {
		return driver.ErrExists
	}
	return fail("create", err, id)
}

// Replace implements driver.Backend. The server checks the condition and makes the
// change atomically, on the latest version of the document.
func (b *backend) Replace(ctx context.Context, id string, old, r driver.Record) error {
	err := fits(r)
	if err == nil {
		err = b.update(ctx, id, old, fields(r))
	}
	return fail("replace", err, id)
}

// Move implements driver.Backend. It changes the key of the document in place, so there
// are never two records, or none.
func (b *backend) Move(ctx context.Context, id, newID string, old, r driver.Record) error {
	if err := fits(r); err != nil {
		return fail("move", err)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	err := b.update(ctx, id, old, append(byKey(newID), fields(r)...))
	if mongo.IsDuplicateKeyError(err) {
		return driver.ErrExists
	}
	return fail("move", err, id, newID)
}

// maxData is what a session may hold. To change it takes a command with the old and the new
// data in it, which may have 16 MiB like a document.
const maxData = 8<<20 - 4<<10

// fits returns an error for data that could be stored, but not be changed any more.
func fits(r driver.Record) error {
	if len(r.Data) > maxData {
		return fmt.Errorf("the session has %d bytes, and MongoDB cannot change one of more than %d: keep large values elsewhere", len(r.Data), maxData)
	}
	return nil
}

// Touch implements driver.Backend.
func (b *backend) Touch(ctx context.Context, id string, old driver.Record, expiry time.Time) error {
	err := b.update(ctx, id, old, bson.D{expiredAt(expiry)})
	return fail("touch", err, id)
}

// update sets fields of the document if it holds the data of old.
func (b *backend) update(ctx context.Context, id string, old driver.Record, set bson.D) error {
	filter, change := append(byKey(id), dataIs(old.Data)), bson.D{{Key: "$set", Value: set}}
	return b.insist(ctx, func() error {
		res, err := b.sessions.UpdateOne(ctx, filter, change)
		if err == nil && res.MatchedCount == 0 {
			return driver.ErrConflict
		}
		return err
	})
}

// Delete implements driver.Backend. FerretDB skips a document that is being updated,
// which would leave an ended session alive. So Delete checks if nothing was deleted.
func (b *backend) Delete(ctx context.Context, id string) error {
	for {
		res, err := b.sessions.DeleteOne(ctx, byKey(id))
		if err != nil || res.DeletedCount > 0 {
			return fail("delete", err, id)
		}
		if err = b.sessions.FindOne(ctx, byKey(id), justID).Err(); errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		if err != nil {
			return fail("delete", err, id)
		}
	}
}

var justID = options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})

// DeleteExpired implements driver.Backend. The TTL index does the same, but at its own
// pace, and not on every server that speaks the protocol.
func (b *backend) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	b.prepared.Store(false) // Somebody may have dropped the collection, and its indexes with it.
	if err := b.prepare(ctx); err != nil {
		return 0, err
	}
	expired := bson.E{Key: "expired_at", Value: bson.D{{Key: "$lte", Value: milliseconds(now)}}}
	o := options.Find().SetSort(bson.D{{Key: "expired_at", Value: 1}}).SetLimit(int64(limit)).SetProjection(bson.D{{Key: "_id", Value: 1}})
	found, err := b.sessions.Find(ctx, bson.D{expired}, o)
	if err != nil {
		return 0, fail("delete expired", err)
	}
	var docs []struct {
		ID bson.RawValue `bson:"_id"`
	}
	if err := found.All(ctx, &docs); err != nil {
		return 0, fail("delete expired", err)
	}
	if len(docs) == 0 {
		return 0, nil
	}
	ids := make(bson.A, len(docs))
	for i, doc := range docs {
		ids[i] = doc.ID
	}
	// A document that has been touched meanwhile is no longer expired.
	res, err := b.sessions.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, expired})
	if err != nil {
		return 0, fail("delete expired", err)
	}
	return int(res.DeletedCount), nil
}

// ownIDs are those of the library's own records.
var ownIDs = fmt.Sprintf("^%s.{%d}$", driver.OwnIDPrefix, driver.OwnIDLength-len(driver.OwnIDPrefix))

// Count implements driver.Counter. It reads a range of the index.
func (b *backend) Count(ctx context.Context, now time.Time) (int, error) {
	n, err := b.sessions.CountDocuments(ctx, bson.D{
		{Key: "expired_at", Value: bson.D{{Key: "$gt", Value: milliseconds(now)}}},
		{Key: "key", Value: bson.D{{Key: "$not", Value: primitive.Regex{Pattern: ownIDs}}}},
	})
	return int(n), fail("count", err)
}

// listPage is how many IDs are listed at a time.
const listPage = 1000

var list = options.Find().SetSort(bson.D{{Key: "key", Value: 1}}).SetLimit(listPage).SetProjection(bson.D{{Key: "_id", Value: 0}, {Key: "key", Value: 1}})

// IDs implements driver.Lister. Each page begins after the last ID of the one before, so no
// cursor stays open meanwhile.
func (b *backend) IDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for last, n := "", listPage; n == listPage; {
			var page []document
			found, err := b.sessions.Find(ctx, bson.D{{Key: "key", Value: bson.D{{Key: "$gt", Value: last}}}}, list)
			if err == nil {
				err = found.All(ctx, &page)
			}
			if err != nil {
				yield("", fail("list", err))
				return
			}
			for _, doc := range page {
				if last = doc.Key; !yield(last, nil) {
					return
				}
			}
			n = len(page)
		}
	}
}

// insist repeats a change that FerretDB gave up and did not make: PostgreSQL detects deadlocks
// between requests that store the same key, such as the first sign-ins of one owner. A retry
// gets in the way of requests that still wait, so only one retries at a time. MongoDB has no
// such deadlocks.
func (b *backend) insist(ctx context.Context, change func() error) error {
	err := change()
	if !isDeadlock(err) {
		return err
	}
	select {
	case b.insisting <- struct{}{}:
		defer func() { <-b.insisting }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	for pause := 10 * time.Millisecond; isDeadlock(err); pause *= 2 {
		select { // Other processes insist, too.
		case <-time.After(rand.N(pause)):
			err = change()
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
	return err
}

func isDeadlock(err error) bool {
	var answer mongo.ServerError
	return errors.As(err, &answer) && answer.HasErrorCode(codeDeadlock)
}

func byKey(id string) bson.D { return bson.D{{Key: "key", Value: id}} }

func dataIs(data []byte) bson.E { return bson.E{Key: "data", Value: primitive.Binary{Data: data}} }

func expiredAt(t time.Time) bson.E { return bson.E{Key: "expired_at", Value: milliseconds(t)} }

func fields(r driver.Record) bson.D { return bson.D{dataIs(r.Data), expiredAt(r.Expiry)} }

// milliseconds truncates a time to what a document holds.
func milliseconds(t time.Time) primitive.DateTime { return primitive.DateTime(t.UnixMilli()) }

// fail adds the backend's name to an error, and removes the ID: the server may repeat
// values in its message.
func fail(op string, err error, ids ...string) error {
	if err == nil || errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound) {
		return err
	}
	unavailable := isUnavailable(err)
	var answer mongo.ServerError
	denied := errors.As(err, &answer) && answer.HasErrorCode(codeUnauthorized)
	for _, id := range ids {
		if strings.Contains(err.Error(), id) {
			err = errors.New(strings.ReplaceAll(err.Error(), id, "…"))
		}
	}
	switch {
	case unavailable:
		err = outage.Mark(err)
	case denied:
		err = fmt.Errorf("%w: the user in Config.Options or Config.Client needs the role readWrite", err)
	}
	return fmt.Errorf("mongo: %s: %w", op, err)
}
