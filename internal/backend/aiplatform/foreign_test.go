package aiplatform

import (
	"reflect"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Each option for Vertex AI is told, and none is lost silently. Without what the program can't do
// without, the job is refused.
func TestForeignOptions(t *testing.T) {
	refused := "pscInterfaceConfig nfsMounts lustreMounts"
	options := reflect.TypeFor[job.VertexOptions]()
	for i := range options.NumField() {
		f := options.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		var own job.VertexOptions
		switch v := reflect.ValueOf(&own).Elem().Field(i); v.Kind() {
		case reflect.String:
			v.SetString("a")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		want := plan.Dropped
		if strings.Contains(refused, name) {
			want = plan.Unmappable
		}
		told := (&Backend{}).Check(job.Order{Mapping: job.Mapping{Vertex: &own}})
		if len(told) != 1 || told[0].Field != "jobdrop.vertex."+name || told[0].Action != want {
			t.Errorf("%s: told %v, want %s", name, told, want)
		}
	}
	for _, own := range []*job.VertexOptions{nil, {}, {Strategy: job.StrategyStandard}} {
		if told := (&Backend{}).Check(job.Order{Mapping: job.Mapping{Vertex: own}}); len(told) > 0 {
			t.Errorf("%+v: told %v", own, told)
		}
	}
}
