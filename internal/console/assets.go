package console

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
	"sync"
)

// asset is a file that pages use.
type asset struct {
	kind string
	data []byte
	// version is a digest of the data, which is in the file's address: browsers may keep it for ever.
	version string
}

// kinds are the content types of assets, by their endings.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// assets returns the embedded files by their names.
var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{}
	entries, err := fs.ReadDir(assetFiles, "assets")
	for _, e := range entries {
		data, fault := fs.ReadFile(assetFiles, "assets/"+e.Name())
		if fault != nil {
			err = fault
			break
		}
		kind, ok := kinds[e.Name()[strings.LastIndexByte(e.Name(), '.'):]]
		if !ok {
			continue // a licence
		}
		sum := sha256.Sum256(data)
		all[e.Name()] = asset{kind, data, hex.EncodeToString(sum[:6])}
	}
	if err != nil { // the files are in the binary
		panic(err)
	}
	return all
})

// assetAddress returns the address of a file, which changes with its content.
func assetAddress(name string) string { return "/static/" + name + "?v=" + assets()[name].version }

// static serves the files that pages use.
func static(w http.ResponseWriter, r *http.Request) {
	a, ok := assets()[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	if r.URL.Query().Get("v") == a.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(a.data) // whoever went away misses nothing
}
