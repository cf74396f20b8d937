package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// fieldOptions are what the commands share that check drops without running them:
// where the fields come from that a job file leaves out, and the rules.
type fieldOptions struct {
	project, inbox, folder, defaults string
	set                              []string
	metadata                         map[string]string // what set says, as an upload would
	policy                           string
}

func (o *fieldOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.project, "project", "", "project whose container images are allowed")
	f.StringVar(&o.defaults, "defaults", "", "job file with values for what the others leave out")
	f.StringArrayVar(&o.set, "set", nil,
		"FIELD=VALUE that beats the file, as object metadata jobdrop-set-FIELD does")
	f.StringVar(&o.inbox, "inbox", "",
		"bucket that the drop is meant for: packages that lie elsewhere are then judged, not only warned of")
	f.StringVar(&o.folder, "folder", "", "folder of the inbox that the drop is meant for, by which a policy's "+
		"prefixes go (default: the name of the drop's folder)")
}

func (o *fieldOptions) policyFlag(f *pflag.FlagSet) {
	f.StringVar(&o.policy, "policy", "", "the operator's policy; without it that of an installation without one")
}

// complete checks the flags and takes them apart.
func (o *fieldOptions) complete() error {
	if o.folder = strings.Trim(o.folder, "/"); o.folder != "" {
		o.folder += "/"
	}
	o.metadata = map[string]string{}
	for _, s := range o.set {
		field, value, ok := strings.Cut(s, "=")
		if !ok || field == "" {
			return fmt.Errorf("--set is %q, must be FIELD=VALUE", s)
		}
		key := jobspec.MetadataPrefix + field
		if _, twice := o.metadata[key]; twice {
			return fmt.Errorf("--set gives %q twice", field)
		}
		o.metadata[key] = value
	}
	return nil
}
