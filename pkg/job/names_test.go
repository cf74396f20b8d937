package job

import "testing"

func TestIsModule(t *testing.T) {
	for text, want := range map[string]bool{
		"trainer.task": true, "census": true, "video-8x.train": true, "größe": true, "gro\u0308ße": true, "8x": true,
		"_a.b_1": true, "": false, ".": false, "a.": false, ".a": false, "a..b": false, "a b": false, "a/b": false,
		"-c": false, "--help": false, "a\x00": false, "a:b": false, "a=b": false, "a\u00a0": false,
	} {
		if got := IsModule(text); got != want {
			t.Errorf("IsModule(%q) = %t", text, got)
		}
	}
}

func TestIsParameterName(t *testing.T) {
	for text, want := range map[string]bool{
		"learning_rate": true, "learning-rate": true, "größe": true, "a.b": true, "8": true,
		"": false, "--learning-rate": false, "-x": false, "learning rate": false, "a=b": false, "a\u00a0b": false,
		"a\tb": false, "a\x00": false,
	} {
		if got := IsParameterName(text); got != want {
			t.Errorf("IsParameterName(%q) = %t", text, got)
		}
	}
}
