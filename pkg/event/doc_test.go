package event

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// go doc shows no fields of a type with another name, so Body's comment has them.
func TestBodyShowsItsFields(t *testing.T) {
	source, err := os.ReadFile("event.go")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, m := range regexp.MustCompile("(?m)^//\t(\\w+) +(\\S+) +`(json:.*)`$").FindAllSubmatch(source, -1) {
		said = append(said, fmt.Sprintf("%s %s %s", m[1], m[2], m[3]))
	}
	var want []string
	for field := range reflect.TypeFor[Body]().Fields() {
		want = append(want, fmt.Sprintf("%s %s %s", field.Name, field.Type, field.Tag))
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("fields in the comment (-want +said):\n%s", diff)
	}
}
