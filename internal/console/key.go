package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// errKey is returned for a request without the console's key.
var errKey = errors.New("this console shows itself to who started it: open the address that it printed when it began, " +
	"in this browser. If you did, and a link of another site led you here, follow the link below")

// keyName is the parameter of an address that has the console's key.
const keyName = "key"

// admit reports whether a request has the console's key. An address that has it is answered with a cookie and its address
// without it, where it is neither seen nor passed on. Where admit returns false, the request is answered.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	if s.Key == "" || strings.HasPrefix(r.URL.Path, "/static/") { // those are files of the program alone
		return true
	}
	name := s.cookieName()
	if c, err := r.Cookie(name); err == nil && s.isKey(c.Value) {
		return true
	}
	asked := r.URL.Query()
	if r.Method != http.MethodGet || !s.isKey(asked.Get(keyName)) {
		s.fail(w, r, errKey)
		return false
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: s.Key, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	asked.Del(keyName)
	next := url.URL{Path: "/" + strings.TrimLeft(r.URL.Path, "/"), RawQuery: asked.Encode()}
	http.Redirect(w, r, next.String(), http.StatusSeeOther)
	return false
}

func (s *Server) isKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(s.Key)) == 1
}

// cookieName returns the name of the cookie, another one for each key: browsers send the cookies of one port of this
// machine to all of them.
func (s *Server) cookieName() string {
	sum := sha256.Sum256([]byte(s.Key))
	return "jobdrop_" + hex.EncodeToString(sum[:6])
}
