package vertex

import (
	"reflect"
	"strings"
	"testing"
)

// No type that the backend is made of reaches the client's services: the linker
// would keep all of their calls, see [api].
func TestClientStaysOutOfTypes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		if strings.HasSuffix(typ.PkgPath(), "/aiplatform/v1") && strings.HasSuffix(typ.Name(), "Service") {
			t.Errorf("%s is a %s", path, typ)
			return
		}
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
			walk(typ.Elem(), path)
		case reflect.Map:
			walk(typ.Key(), path)
			walk(typ.Elem(), path)
		case reflect.Struct:
			for f := range typ.Fields() {
				walk(f.Type, path+"."+f.Name)
			}
		case reflect.Func:
			for in := range typ.Ins() {
				walk(in, path)
			}
			for out := range typ.Outs() {
				walk(out, path)
			}
		}
	}
	walk(reflect.TypeFor[*Backend](), "Backend")
	if len(seen) < 20 {
		t.Errorf("%d types only", len(seen))
	}
}
