// Command mutate checks the checks: in a copy of the module it breaks one line
// for each guarantee, and expects the guarantee's own test to fail.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is one line broken on purpose.
type mutant struct {
	rule     string // the subtest that has to fail
	file     string
	old, new string
	test     string // the package and the test it is in; default is the suite on SQLite
}

const explorer = "./internal/explore TestExplore"

var mutants = []mutant{
	{"G1_RoundTrip", "changes.go", "pairs = append(pairs, pair{Key: ch.key, Value: ch.val})", "pairs = append(pairs, pair{Key: ch.key})", ""},
	{"G1_UnencodableValue", "codec.go", "keyName(p.Key), p.Value, remedy(p), oneErr)", `"", p.Value, "", oneErr)`, ""},
	{"G2_ReadYourWrites", "request.go", "q.w.Before(q.before)", "", ""},
	{"G2_Streaming", "request.go", "	err := q.commit()\n	switch {\n	case q.started():", "	var err error\n	switch {\n	case q.started():", ""},
	{"G3_AcknowledgedMeansStored", "request.go", "	if err := closeGate(w, q.retell); err != nil {", "	if err := error(nil); err != nil {", ""},
	{"G3_LateChangeIsReported", "request.go", "		return errLate\n", "		return nil\n", ""},
	{"G4_DifferentKeys", "commit.go", "		if ch, err = redo(ch, a.base); err != nil {", "		return nil\n		if ch, err = redo(ch, a.base); err != nil {", ""},
	{"G4_AcrossServers", "internal/sqlstore/sqlstore.go", `WHERE {key} = ? AND {match}")` + "\n	b.move", `WHERE {key} = ? AND ({match} OR 1)")` + "\n	b.move", ""},
	{"G4_Update", "commit.go", "return ch.on(base), nil", "return ch, nil", ""},
	{"G4_LongRequest", "commit.go", "			if a.base, err = s.store.find(ctx, a.id); errors.Is(err, ErrNotFound) {", "			if true {", ""},
	{"G4_LastSetWins", "changes.go", "		} else if !ch.deleted {", "		} else if false {", ""},
	{"G5_FlashOnce", "flash.go", "		if flash, ok = snap.get(flashKey); !ok {\n			return snap, nil, false, nil\n		}", "		return snap, flash, true, nil", ""},
	{"G5_NoFlash", "inject.go", "c.Set(as.flash, as.noFlash)", "c.MapTo(nil, (*Flash)(nil))", ""},
	{"G6_EndedStaysEnded", "commit.go", "			if errors.Is(err, ErrNotFound) {\n				return ErrEnded\n", "			if errors.Is(err, ErrNotFound) {\n				_, err = s.store.create(ctx, a.id, ch, s.store.expiry(now, terms{}))\n				return err\n", ""},
	{"G6_StoreDestroy", "bound.go", "		s.part()\n		return nil\n", "		return nil\n", ""},
	{"G6_FreshAfterDestroy", "live.go", `	s.id, s.newID, s.base, s.stored, s.asked = "", "", snapshot{}, false, false`, `	s.newID, s.base, s.stored, s.asked = "", snapshot{}, false, false`, ""},
	{"G7_RotationMoves", "internal/sqlstore/sqlstore.go", "expired_at = ?, {key} = ? WHERE {key} = ? AND {match}", "expired_at = ?, data = coalesce(data, ?) WHERE {key} = ? AND {match}", ""},
	{"G7_RotationMerges", "commit.go", "			snap, err = s.store.move(ctx, a.id, a.newID, a.base, ch, expiry)", "			snap, err = s.store.create(ctx, a.newID, ch, expiry)\n			_ = s.store.remove(ctx, a.id)", ""},
	{"G7_FailureAfterCommit", "tell.go", "case !p.tells && p.told == p.came:", "case true:", ""},
	{"G7_Reminder", "request.go", "	case err == nil:\n		s.mu.Lock()\n		if s.id == id {", "	case true:\n		s.mu.Lock()\n		if s.id == id {", ""},
	{"G8_StrictIDs", "load.go", "			case !errors.Is(err, ErrNotFound):\n", "			case errors.Is(err, ErrNotFound):\n				q.live.id = v\n			default:\n", ""},
	{"G8_Entropy", "id.go", "b[i] = letters[b[i]&31]", "b[i] = letters[b[i]&1]", ""},
	{"G9_ExactExpiry", "lifetime.go", "	if snap.foreign == nil && !now.Before(snap.expiry) {", "	if false {", ""},
	{"G9_ExpiredInStore", "store.go", "	snap, err := s.find(ctx, sid)\n	if err == nil {\n		err = s.touch", "	snap, err := s.load(ctx, sid)\n	if err == nil {\n		err = s.touch", ""},
	{"G9_AccessSlides", "load.go", "if !taken && !s.fresh(snap.expiry, terms, s.now()) {", "if false {", ""},
	{"G9_AbsoluteLifetime", "lifetime.go", "		now = time.UnixMilli(t.created)\n", "		_ = 0\n", ""},
	{"G9_AbsoluteLifetimeLater", "commit.go", "||\n		s.stored && !s.store.dated(s.base.terms())", "", ""},
	{"G9_SetLifetime", "lifetime.go", "return slices.Contains(reservedKeys, key)", "return key == nil && slices.Contains(reservedKeys, key)", ""},
	{"G9_TouchKeepsDecision", "internal/sqlstore/sqlstore.go", "SET expired_at = ? WHERE {key} = ? AND {match}", "SET expired_at = ? WHERE {key} = ? AND ({match} OR 1)", ""},
	{"G9_Remember", "tell.go", "(value != told || age != toldAge)", "value != told", ""},
	{"G9_Sweep", "sqlite/dialect.go", "WHERE expired_at <= ? LIMIT ?", "WHERE expired_at >= ? LIMIT ?", ""},
	{"G9_Sweep", "internal/sqlstore/backend.go", "b.exec(ctx, b.sweep, b.time(now), limit)", "b.exec(ctx, b.sweep, b.time(time.Time{}), limit)", ""},
	{"G10_UntouchedVisitor", "live.go", "	s.used = true\n	val, _ := s.view().get(key)", "	s.used, s.asked = true, true\n	val, _ := s.view().get(key)", ""},
	{"G10_IDIsStored", "live.go", "		s.asked = true\n	}\n	return s.id", "	}\n	return s.id", ""},
	{"G11_PanicChangesNothing", "request.go", "		if panicking {\n			q.closed.Store(true)", "		if panicking {\n			_ = 0", ""},
	{"G12_ClientGone", "request.go", "	ctx, cancel := q.m.deadline(context.WithoutCancel(q.r.Context()))\n	defer cancel()\n	if due && !q.live.dirty()", "	ctx, cancel := q.m.deadline(q.r.Context())\n	defer cancel()\n	if due && !q.live.dirty()", ""},
	{"G13_HostileCookies", "load.go", "!q.m.store.names(v, q.m.leastID) ||", `v == "" ||`, ""},
	{"G13_CorruptRecord", "load.go", "	case isDecodeError(err):", "	case false:", ""},
	{"G13_CorruptRecord", "load.go", "	case isDecodeError(err):\n", "	case isDecodeError(err):\n				_ = q.m.store.remove(ctx, v)\n", ""},
	{"G14_Outage", "manager.go", "	return context.WithTimeout(ctx, m.opt.StoreTimeout)", "	return context.WithCancel(ctx)", ""},
	{"G15_Kill", "request.go", "q.w.Before(q.before)", "go func() { q.finish() }()", "./sqlite TestProcesses"},
	{"Count", "internal/sqlstore/sqlstore.go", "FROM {table} WHERE expired_at > ?", "FROM {table} WHERE expired_at > '' OR ?", ""},
	{"G16_CleanEnd", "manager.go", "		m.stop()\n", "		close(m.stopped)\n", ""},

	// The explorer, too.
	{"G6 an ended", "commit.go", "	if err := s.store.endForwards(ctx, ended); err != nil {", "	if err := error(nil); err != nil {", explorer},
	{"G6 an ended", "forward.go", "			err = s.endForwards(ctx, next)", "			err = nil", explorer},
	{"G6 an ended", "commit.go", "			forwarded = a.newID\n		}\n		if a.newID", "			forwarded = a.newID\n			_ = s.store.remove(ctx, forwardID(a.id))\n		}\n		if a.newID", explorer},
	{"no record", "commit.go", "				return ErrEnded\n			}\n			return err", "				return s.create(ctx, a, ch)\n			}\n			return err", explorer},
	{"G7 the session", "commit.go", "		if moved {\n", "		if moved && err != nil {\n", explorer},
	{"G7 the session", "forward.go", "forwardFor-staleFor", "forwardFor", explorer},
	{"G7 the session", "doubt.go", "	a.base, a.stored, a.id, a.newID = snap, true, a.newID, \"\"\n	return true", "	_ = snap\n	return false", explorer},
	{"G7 the session", "load.go", "q.by, q.live.revoked = nil, true", "q.by = nil", explorer},
	{"G7 the session", "commit.go", "		s.lost, s.revoked = true, true", "		s.lost = true", explorer},
	{"G7 the session", "load.go", "				q.stale = v\n", "				_ = v\n", explorer},
	{"G7 the session", "commit.go", "			a.base, a.stored = snap, true\n			if a.newID", "			a.base, a.stored = snap, false\n			if a.newID", explorer},
	{"G4 no lost", "commit.go", "		if ch, err = redo(ch, a.base); err != nil {", "		if _, err = redo(ch, a.base); err != nil {", explorer},
	{"G4 no lost", "changes.go", "		for _, fn := range ch.updates {\n			ch.val = fn(ch.val)\n		}", "		ch.val = ch.updates[0](nil)", explorer},
	{"G4 no lost", "doubt.go", " && !ch.updates():", ":", explorer},
	{"G5 a flash", "flash.go", "		next, err := s.replace(ctx, id, snap, onlyFlash, s.expiry(s.now(), snap.terms()))\n", "		next, err := snap, error(nil)\n", explorer},
	{"no record", "commit.go", "				_ = s.store.remove(ctx, a.id) // It may be there all the same, and nobody knows of it.\n", "", explorer},
	{"no record", "doubt.go", "		_ = s.store.remove(ctx, a.newID) // A copy that nobody has been told of.\n", "", explorer},
	{"G3 G11 a failure", "request.go", "		if panicking {\n			q.closed.Store(true)", "		if panicking {\n			q.finish()", explorer},
	{"G7 rotation", "commit.go", "			snap, err = s.store.move(ctx, a.id, a.newID, a.base, ch, expiry)", "			snap, err = s.store.create(ctx, a.newID, ch, expiry)", explorer},
	{"G6 an ended", "commit.go", "	if err := s.store.remove(ctx, ended); err != nil {", "	if err := error(nil); err != nil {", explorer},
	{"G7 the session", "tell.go", "		q.carrier().write(q.w, q.r, value, age)\n	case !stored && told != \"\" && lost", "		_ = age\n	case !stored && told != \"\" && lost", explorer},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		return err
	}
	only := regexp.MustCompile(strings.Join(os.Args[1:], "|"))
	survivors := 0
	for _, m := range mutants {
		if !only.MatchString(m.rule) {
			continue
		}
		killed, out, err := m.try(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.rule, err)
		}
		if killed {
			fmt.Printf("%-28s fails when %s has %q\n", m.rule, m.file, oneLine(m.new))
			continue
		}
		survivors++
		fmt.Printf("%-28s SURVIVES %s with %q\n%s\n", m.rule, m.file, oneLine(m.new), out)
	}
	if survivors > 0 {
		return fmt.Errorf("%d broken lines were not noticed", survivors)
	}
	return nil
}

// try breaks the line, runs the test, and mends the line.
func (m mutant) try(dir string) (killed bool, out string, err error) {
	path := filepath.Join(dir, m.file)
	before, err := os.ReadFile(path)
	if err != nil {
		return false, "", err
	}
	if n := strings.Count(string(before), m.old); n != 1 {
		return false, "", fmt.Errorf("%s has the line %d times: %q", m.file, n, m.old)
	}
	broken := strings.Replace(string(before), m.old, m.new, 1)
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		return false, "", err
	}
	defer func() {
		if e := os.WriteFile(path, before, 0o600); err == nil {
			err = e
		}
	}()
	pkg, test, _ := strings.Cut(m.test, " ")
	if m.test == "" {
		pkg, test = "./sqlite", "TestConformance"
	}
	cmd := exec.Command("go", "test", "-vet=off", "-count=1", "-short", "-timeout", "5m", "-run", "^"+test+"$/^"+m.rule+"$", pkg)
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	if strings.Contains(string(text), "[build failed]") || strings.Contains(string(text), "[setup failed]") {
		return false, "", fmt.Errorf("the broken line does not compile:\n%s", text)
	}
	// The rule itself must have failed, or the test process been brought down.
	return err != nil && (strings.Contains(string(text), m.rule) || strings.Contains(string(text), "panic:")), string(text), nil
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
