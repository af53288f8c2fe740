package session

import (
	"net/url"
	"strings"
)

// URL returns the reference with the session's ID in its query, when the session
// travels in URLs: Options.Transport includes QueryTransport, and the request
// did not bring its ID by another way. Otherwise, also when there is no session
// yet, it returns the reference as it is, so pages may use it for all their links,
// forms and redirects.
//
// Only references within the site get the ID: relative ones and absolute paths,
// such as "cart", "?page=2" and "/cart?x=1#top". One that names a scheme or a
// host never does, nor one that a browser might take for such.
//
// It may be called concurrently. For html/template see TemplateFuncs.
func URL(s Session, ref string) string {
	live, ok := s.(*liveSession)
	if !ok || live.req == nil {
		return ref
	}
	name := live.req.queryName()
	if name == "" || !isLocal(ref) || strings.HasPrefix(ref, "#") { // The same page, query and all.
		return ref
	}
	rest, fragment, hasFragment := strings.Cut(ref, "#")
	path, query, _ := strings.Cut(rest, "?")

	// An ID that is there already, as in the URL of the present page, may be old.
	var params []string
	for _, p := range strings.Split(query, "&") {
		key, _, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain // Two IDs are none, however they are written.
		}
		if p != "" && key != name {
			params = append(params, p)
		}
	}
	if id := live.known(); id != "" {
		params = append(params, name+"="+id)
		live.mu.Lock()
		live.linked = true // Not the header now, which is no place for several goroutines.
		live.mu.Unlock()
	}
	if len(params) > 0 {
		path += "?" + strings.Join(params, "&")
	}
	if hasFragment {
		path += "#" + fragment
	}
	return path
}

// TemplateFuncs returns the function sessionURL for html/template's Funcs, which
// is URL: {{sessionURL .Session "/cart"}}.
func TemplateFuncs() map[string]any {
	return map[string]any{"sessionURL": URL}
}

// isLocal tells whether every browser stays on this site with the reference.
// Browsers drop control characters and outer spaces, and take \ for /.
func isLocal(ref string) bool {
	for i := range len(ref) {
		if c := ref[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	if strings.HasPrefix(ref, "//") {
		return false
	}
	first, _, _ := strings.Cut(ref, "/")
	first, _, _ = strings.Cut(first, "?")
	first, _, _ = strings.Cut(first, "#")
	return !strings.Contains(first, ":") // Otherwise a scheme, or an error.
}

// queryName is the parameter that this request's URLs carry the ID in, or "".
func (q *request) queryName() string {
	for _, c := range q.m.carriers {
		if qc := asQuery(c); qc != nil && (q.by == nil || q.by == c) {
			return qc.name
		}
	}
	return ""
}

// known returns the ID if there is a session, or something that makes one.
func (s *liveSession) known() string {
	s.mu.Lock()
	none := s.id == "" && s.newID == "" && !s.asked && !s.pending.makes()
	s.mu.Unlock()
	if none {
		return ""
	}
	return s.ID()
}
