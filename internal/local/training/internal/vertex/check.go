package vertex

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/image"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// The limits are those of the API's reference.
	maxDisplayName = 128
	maxEnv         = 100
	maxPools       = 4
)

var (
	// prebuilt are the images of Google's own for training, the only ones that
	// run a Python package.
	prebuilt = regexp.MustCompile(`^(us|europe|asia)-docker\.pkg\.dev/vertex-ai/training/` +
		`[a-z0-9][a-z0-9._-]*(:[\w][\w.-]*)?(@sha256:[0-9a-f]{64})?$`)
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// The API says of labels: no longer than 64 characters.
	labelKey   = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
	labelValue = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,64}$`)
	kmsKey     = regexp.MustCompile(`^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$`)
)

// violations collects what is wrong with a job of aiplatform/v1.
type violations struct{ rest.Violations }

// check returns why a job can't be created: what the API requires, and what
// can't be done here and would make another job of it.
func check(b jobBody, a address) []rest.Violation {
	var vs violations
	switch n := utf8.RuneCountInString(b.DisplayName); {
	case n == 0:
		vs.Add("display_name", "The display name is required.")
	case n > maxDisplayName:
		vs.Add("display_name", "The display name has at most %d characters.", maxDisplayName)
	}
	if len(b.Labels) > jobs.MaxLabels {
		vs.Add("labels", "A job has at most %d labels.", jobs.MaxLabels)
	}
	for key, value := range b.Labels {
		if !labelKey.MatchString(key) || !labelValue.MatchString(value) {
			vs.Add("labels", "%q: %q is not a label. Keys and values can be no longer than 64 characters, and can only contain "+
				"lowercase letters, numeric characters, underscores and dashes; keys start with a letter. International "+
				"characters are allowed.", key, value)
		}
	}
	if e := b.EncryptionSpec; e != nil {
		if m := kmsKey.FindStringSubmatch(e.KMSKeyName); m == nil {
			vs.Add("encryption_spec.kms_key_name", "%q is not of the form "+
				"projects/{project}/locations/{location}/keyRings/{key_ring}/cryptoKeys/{crypto_key}.", e.KMSKeyName)
		} else if m[1] != a.location {
			vs.Add("encryption_spec.kms_key_name", "The key must be in the job's region, %s, not in %s.", a.location, m[1])
		}
	}
	if a.collection == TuningJobs {
		vs.study(&b)
		vs.spec("trial_job_spec", b.TrialJobSpec)
		return vs.Violations
	}
	vs.spec("job_spec", b.JobSpec)
	return vs.Violations
}

func (vs *violations) spec(field string, s *jobSpec) {
	if s == nil {
		vs.Add(field, "The job spec is required.")
		return
	}
	if d := s.BaseOutputDirectory; d != nil {
		if _, _, ok := jobs.SplitURI(d.OutputURIPrefix); !ok || strings.ContainsAny(d.OutputURIPrefix, "\r\n\x00") {
			vs.Add(field+".base_output_directory.output_uri_prefix", "%q must be of the form gs://bucket/directory.",
				d.OutputURIPrefix)
		}
	}
	if s.Scheduling.Timeout != "" {
		if d, err := job.ParseDuration(s.Scheduling.Timeout); err != nil || d <= 0 {
			vs.Add(field+".scheduling.timeout", "The timeout must be greater than zero.")
		}
	}
	if s.Tensorboard != "" && s.ServiceAccount == "" {
		vs.Add(field+".service_account", "The service account must be given with a tensorboard.")
	}
	for _, no := range []struct {
		given     bool
		name, why string
	}{
		{s.Network != "", "network", "has no networks to peer with"},
		{len(s.ReservedIPRanges) > 0, "reserved_ip_ranges", "has no networks"},
	} {
		if no.given {
			vs.Add(field+"."+no.name, "The local training service %s: leave it out.", no.why)
		}
	}
	vs.capacity(field, s)
	field += ".worker_pool_specs"
	switch n := len(s.WorkerPoolSpecs); {
	case n == 0:
		vs.Add(field, "At least one worker pool is required.")
	case n > maxPools:
		vs.Add(field, "A job has at most %d worker pools.", maxPools)
	}
	for i := range s.WorkerPoolSpecs {
		vs.pool(field, i, &s.WorkerPoolSpecs[i])
	}
}

// pool checks the pool at a place, of which the first must have the chief.
func (vs *violations) pool(field string, place int, p *pool) {
	field = fmt.Sprintf("%s[%d]", field, place)
	switch {
	case !p.used() && place > 0:
		return
	case !p.used():
		vs.Add(field, "The first worker pool must not be empty.")
		return
	case place == 0 && p.ReplicaCount != 1:
		vs.Add(field+".replica_count", "The first worker pool must have exactly one replica, not %d.", p.ReplicaCount)
	case p.ReplicaCount <= 0:
		vs.Add(field+".replica_count", "The number of replicas must be greater than zero.")
	}
	if m := p.MachineSpec; m == nil {
		vs.Add(field+".machine_spec", "The machine spec is required.")
	} else {
		if m.MachineType == "" {
			vs.Add(field+".machine_spec.machine_type", "The machine type is required.")
		}
		accelerated := m.AcceleratorType != "" && m.AcceleratorType != "ACCELERATOR_TYPE_UNSPECIFIED"
		switch {
		case strings.HasPrefix(m.AcceleratorType, "TPU_"):
			vs.Add(field+".machine_spec.accelerator_type", "The local training service has no TPUs: leave accelerator type "+
				"and count out.")
		case m.AcceleratorCount < 0, accelerated && m.AcceleratorCount == 0:
			vs.Add(field+".machine_spec.accelerator_count", "The number of accelerators must be greater than zero.")
		case !accelerated && m.AcceleratorCount > 0:
			vs.Add(field+".machine_spec.accelerator_type", "The accelerator type must be given with a count.")
		}
		vs.reserved(field+".machine_spec.reservation_affinity", m.ReservationAffinity)
		if m.GPUPartitionSize != "" && (!accelerated || m.AcceleratorCount != 1) {
			vs.Add(field+".machine_spec.gpu_partition_size", "Partitions need one accelerator, not %d.", m.AcceleratorCount)
		}
		if m.TPUTopology != "" {
			vs.Add(field+".machine_spec.tpu_topology", "The local training service has no TPUs: leave it out.")
		}
	}
	if d := p.DiskSpec; d != nil {
		switch d.BootDiskType {
		case "", "pd-ssd", "pd-standard", "hyperdisk-balanced":
		default:
			vs.Add(field+".disk_spec.boot_disk_type", "%q is none of pd-ssd, pd-standard and hyperdisk-balanced.",
				d.BootDiskType)
		}
		if d.BootDiskSizeGB < 0 {
			vs.Add(field+".disk_spec.boot_disk_size_gb", "The size must be greater than zero.")
		}
	}
	vs.mounts(field, p)
	switch {
	case p.ContainerSpec == nil && p.PythonPackageSpec == nil:
		vs.Add(field, "Exactly one of container_spec and python_package_spec is required.")
	case p.ContainerSpec != nil && p.PythonPackageSpec != nil:
		vs.Add(field, "Only one of container_spec and python_package_spec can be given.")
	case p.ContainerSpec != nil:
		vs.container(field+".container_spec", p.ContainerSpec)
	default:
		vs.pythonPackage(field+".python_package_spec", p.PythonPackageSpec)
	}
}

func (vs *violations) container(field string, c *containerSpec) {
	if c.ImageURI == "" {
		vs.Add(field+".image_uri", "The image is required.")
	} else if _, err := image.Parse(c.ImageURI); err != nil {
		vs.Add(field+".image_uri", "%q is not the name of a container image.", c.ImageURI)
	}
	if len(c.Command) > 0 && c.Command[0] == "" {
		vs.Add(field+".command", "The command must not be empty.")
	}
	vs.texts(field+".command", c.Command)
	vs.texts(field+".args", c.Args)
	vs.env(field+".env", c.Env)
}

func (vs *violations) pythonPackage(field string, c *pythonPackageSpec) {
	if c.ExecutorImageURI == "" {
		vs.Add(field+".executor_image_uri", "The executor image is required.")
	} else if !prebuilt.MatchString(c.ExecutorImageURI) {
		vs.Add(field+".executor_image_uri", "%q is not a pre-built container for training: you must use an image from the "+
			"list, "+
			"e.g. us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-11:latest.", c.ExecutorImageURI)
	}
	switch n := len(c.PackageURIs); {
	case n == 0:
		vs.Add(field+".package_uris", "At least one package is required.")
	case n > job.MaxPackages:
		vs.Add(field+".package_uris", "A job has at most %d packages.", job.MaxPackages)
	}
	for i, uri := range c.PackageURIs {
		if _, object, ok := jobs.SplitURI(uri); !ok || object == "" || strings.HasSuffix(object, "/") {
			vs.Add(fmt.Sprintf("%s.package_uris[%d]", field, i), "%q is not the URI of an object: it must be of the form "+
				"gs://bucket/object.", uri)
		}
	}
	if c.PythonModule == "" {
		vs.Add(field+".python_module", "The Python module is required.")
	} else if !job.IsModule(c.PythonModule) {
		vs.Add(field+".python_module", "%q is not the dotted name of a Python module, e.g. trainer.task.", c.PythonModule)
	}
	vs.texts(field+".args", c.Args)
	vs.env(field+".env", c.Env)
}

func (vs *violations) texts(field string, texts []string) {
	for i, text := range texts {
		if strings.ContainsRune(text, 0) {
			vs.Add(fmt.Sprintf("%s[%d]", field, i), "An argument must not contain a null character.")
		}
	}
}

func (vs *violations) env(field string, env []envVar) {
	if len(env) > maxEnv {
		vs.Add(field, "There can be at most %d environment variables.", maxEnv)
	}
	for i, v := range env {
		at := fmt.Sprintf("%s[%d]", field, i)
		if !envName.MatchString(v.Name) {
			vs.Add(at+".name", "%q is not a valid C identifier.", v.Name)
		}
		if strings.ContainsRune(v.Value, 0) {
			vs.Add(at+".value", "A value must not contain a null character.")
		}
	}
}

// checkLimits returns what keeps a job that is right from ever running here.
func checkLimits(l jobs.Limits, v *jobs.VertexRecord) []rest.Violation {
	b, err := parseRecord(v)
	if err != nil {
		return []rest.Violation{{Description: err.Error()}}
	}
	var vs violations
	field := b.specField() + ".worker_pool_specs"
	for i, p := range b.spec().WorkerPoolSpecs {
		if c := p.ContainerSpec; c != nil && !c.standsIn() {
			if text := l.Image(c.ImageURI); text != "" {
				vs.Add(fmt.Sprintf("%s[%d].container_spec.image_uri", field, i), "%s", text)
			}
		}
	}
	in := b.input(address{location: v.Location})
	switch n := jobs.CountsOf(in); {
	case n.Total() > l.Replicas:
		vs.Add(field, "%s.", l.Count(n))
	case jobs.Needs(in) > l.Replicas:
		vs.Add("parallel_trial_count", "%s: lower parallelTrialCount to %d, or start jobdrop local with --max-replicas %d "+
			"or more.", l.Parallel(in), l.Replicas/n.Total(), jobs.Needs(in))
	}
	return vs.Violations
}
