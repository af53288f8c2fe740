package share

import "context"

// patient is a context that goes on when its parent is cancelled.
type patient struct{ context.Context }

type patientKey struct{}

func (p patient) Value(key any) any {
	if key == (patientKey{}) {
		return true
	}
	return p.Context.Value(key)
}

// Patient returns a context for calls that nobody cancels, as the client of a request
// might. All that end by a timeout, after the same time, can go together.
func Patient(ctx context.Context) context.Context {
	return patient{context.WithoutCancel(ctx)}
}

// IsPatient reports whether the context comes from Patient. What others have to do for a
// caller that may leave at any time must not depend on that caller.
func IsPatient(ctx context.Context) bool { return ctx.Value(patientKey{}) != nil }
