package reference

import "testing"

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Reference
	}{
		{"secret://projects/p1/secrets/s", Reference{Version: "projects/p1/secrets/s/versions/latest"}},
		{"secret://projects/p1/secrets/S_a-1/versions/latest",
			Reference{Version: "projects/p1/secrets/S_a-1/versions/latest"}},
		{"secret://projects/p1/secrets/s/versions/12", Reference{Version: "projects/p1/secrets/s/versions/12"}},
		{"secret://projects/p1/secrets/s/versions/prod", Reference{Version: "projects/p1/secrets/s/versions/prod"}},
		{"secret://projects/acme.example:p1/secrets/s",
			Reference{Version: "projects/acme.example:p1/secrets/s/versions/latest"}},
		{"secret://projects/123456789012/secrets/s", Reference{Version: "projects/123456789012/secrets/s/versions/latest"}},
		{"env://NAME_1", Reference{Variable: "NAME_1"}},
		{text: ""}, {text: "xoxb-1"}, {text: "env://"}, {text: "env://A-B"}, {text: "env://1A"},
		{text: " env://A"}, {text: "env://A\n"},
		{text: "secret://p/s"}, {text: "secret://projects/p1/secrets/"}, {text: "secret://projects/p1/secrets/s/versions/"},
		{text: "secret://projects/p1/secrets/s/versions/0"}, {text: "secret://projects/p1/secrets/s/versions/1a"},
		{text: "secret://projects/p1/secrets/s/versions/a.b"}, {text: "secret://projects/../secrets/s"},
		{text: "secret://projects/p1/secrets/s/versions/1/access"}, {text: "projects/p1/secrets/s"},
	} {
		got, ok := Parse(tt.text)
		if got != tt.want || ok != (tt.want != Reference{}) {
			t.Errorf("%q: %+v, %t; want %+v", tt.text, got, ok, tt.want)
		}
	}
}
