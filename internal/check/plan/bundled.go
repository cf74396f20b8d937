package plan

import (
	"regexp"
	"strconv"
	"strings"
)

// families are Compute Engine's machine types that bring accelerators, by how their names begin, longer ones first. The
// accelerators are in Vertex AI's words (Compute Engine's page on GPU machine types; AcceleratorType of aiplatform/v1).
var families = [...]struct{ begins, accelerator string }{
	{"a2-ultragpu-", "NVIDIA_A100_80GB"},
	{"a2-", "NVIDIA_TESLA_A100"},
	{"a3-megagpu-", "NVIDIA_H100_MEGA_80GB"},
	{"a3-ultragpu-", "NVIDIA_H200_141GB"},
	{"a3-", "NVIDIA_H100_80GB"},
	{"a4x-", "NVIDIA_GB200"},
	{"a4-", "NVIDIA_B200"},
	{"g2-", "NVIDIA_L4"},
	{"g4-", "NVIDIA_RTX_PRO_6000"},
	{"ct5lp-", "TPU_V5_LITEPOD"},
}

// several are the machine types of the families G2 and G4 with more than one GPU: their names do not say how many. The
// others have one, or a part of one (Compute Engine's page on GPU machine types).
var several = map[string]int64{
	"g2-standard-24": 2, "g2-standard-48": 4, "g2-standard-96": 8,
	"g4-standard-96": 2, "g4-standard-192": 4, "g4-standard-384": 8,
}

// counted matches machine types whose names say it: a2-highgpu-4g has four GPUs, ct5lp-hightpu-4t four chips.
var counted = regexp.MustCompile(`-([0-9]{1,4})[gt](?:-|$)`)

// Bundled returns the accelerators that come with a machine type of Compute Engine, and how many; 0 for none. The
// accelerator is empty for a machine that is not of the known families, and whose name says that it brings some.
func Bundled(machine string) (accelerator string, count int64) {
	for _, f := range families {
		if strings.HasPrefix(machine, f.begins) {
			accelerator, count = f.accelerator, max(several[machine], 1)
			break
		}
	}
	if m := counted.FindStringSubmatch(machine); m != nil {
		n, _ := strconv.ParseInt(m[1], 10, 64) // it matches
		count = max(count, n)
	}
	return accelerator, count
}

// BundledAccelerators returns the accelerators of the known families.
func BundledAccelerators() []string {
	var names []string
	for _, f := range families {
		names = append(names, f.accelerator)
	}
	return names
}
