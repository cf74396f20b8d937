package vertex

import (
	"fmt"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/check/plan"
)

// prebuilt is a container image of Google's that stands for a runtime version.
type prebuilt struct {
	runtime, python string
	// name is that of the image for CPUs, with tf-cpu; the one for GPUs has
	// tf-gpu in its place.
	name string
	// ended is the day since when Google no longer promises that it can be
	// pulled.
	ended string
}

// images are the prebuilt training images (Google's page on them, read on
// 2026-11-28). A runtime version was a TensorFlow version with the scikit-learn and
// XGBoost of its time, and so is the image. There is none for 2.10, and none for
// Python 2.7 or 3.5.
var images = []prebuilt{
	{"1.15", "3.7", "tf-cpu.1-15", "2024-09-01"},
	{"2.1", "3.7", "tf-cpu.2-1", "2024-09-01"},
	{"2.2", "3.7", "tf-cpu.2-2", "2024-09-01"},
	{"2.3", "3.7", "tf-cpu.2-3", "2024-09-01"},
	{"2.4", "3.7", "tf-cpu.2-4", "2024-09-01"},
	{"2.5", "3.7", "tf-cpu.2-5", "2024-09-01"},
	{"2.6", "3.7", "tf-cpu.2-6", "2024-09-01"},
	{"2.7", "3.7", "tf-cpu.2-7", "2024-09-01"},
	{"2.8", "3.7", "tf-cpu.2-8", "2024-11-15"},
	{"2.9", "3.7", "tf-cpu.2-9", "2024-11-15"},
	{"2.11", "3.7", "tf-cpu.2-11", "2024-11-15"},
	{"2.8", "3.10", "tf-cpu.2-8.py310", "2024-11-15"},
	{"2.9", "3.10", "tf-cpu.2-9.py310", "2024-11-15"},
	{"2.11", "3.10", "tf-cpu.2-11.py310", "2024-11-15"},
	{"2.12", "3.10", "tf-cpu.2-12.py310", "2025-06-30"},
	{"2.13", "3.10", "tf-cpu.2-13.py310", "2025-07-05"},
	{"2.14", "3.10", "tf-cpu.2-14.py310", "2025-09-26"},
	{"2.15", "3.10", "tf-cpu.2-15.py310", "2025-11-14"},
	{"2.16", "3.10", "tf-cpu.2-16.py310", "2026-06-28"},
	{"2.17", "3.10", "tf-cpu.2-17.py310", "2026-07-11"},
}

const (
	runtimeField = "trainingInput.runtimeVersion"
	pythonField  = "trainingInput.pythonVersion"
	ownImage     = "have the operator name an image of their own for it (policy: vertex.images), or write the image " +
		"into the job file (masterConfig.imageUri)"
)

// image returns the image in which a role's packages run.
func (b *builder) image(r plan.Role) string {
	p := b.plan.Python
	if p.Image != "" {
		return p.Image
	}
	runtime := p.Runtime
	if runtime == "2.10" {
		b.tell(runtimeField, plan.Replaced, "by 2.11: Google has no training image of 2.10", "write 2.11, or "+ownImage)
		runtime = "2.11"
	}
	var known []string
	for _, i := range images {
		if i.runtime != runtime {
			continue
		}
		if i.python != p.Version {
			known = append(known, i.python)
			continue
		}
		if b.today.Format(time.DateOnly) >= i.ended {
			b.tell(runtimeField, plan.Doubtful,
				fmt.Sprintf("Google promised the image %s until %s only: it may be gone", i.name, i.ended), ownImage)
		}
		name := i.name
		if r.Accelerators > 0 {
			name = strings.Replace(name, "tf-cpu", "tf-gpu", 1)
		}
		return host(b.plan.Region) + "-docker.pkg.dev/vertex-ai/training/" + name + ":latest"
	}
	switch {
	case len(known) > 0:
		b.tell(pythonField, plan.Unmappable,
			fmt.Sprintf("Google's training images of %s have Python %s, and not %s", runtime, strings.Join(known, " and "),
				p.Version), "write '"+known[len(known)-1]+"', or "+ownImage)
	case p.Version == "2.7" || p.Version == "3.5":
		b.tell(pythonField, plan.Unmappable, "Google has no training image with Python "+p.Version,
			"port the trainer to Python 3.7 or later, or "+ownImage)
	default:
		b.tell(runtimeField, plan.Unmappable, "Google has no training image of it", ownImage)
	}
	return ""
}

// host returns the registry nearest to a region. All three have the same images.
func host(region string) string {
	switch continent, _, _ := strings.Cut(region, "-"); continent {
	case "europe", "me", "africa":
		return "europe"
	case "asia", "australia":
		return "asia"
	}
	return "us"
}
