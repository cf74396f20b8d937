package main

import (
	"slices"
	"time"
)

// suite is a client's own tests, or the page of Node calls.
type suite struct {
	name string
	// module and version say where the tests are; a suite without a module is Node's.
	module, version string
	// pkg is the tests' package, below the module's root.
	pkg string
	// run selects tests, as -run of go test does.
	run string
	// flag is one more flag of the tests.
	flag string
	// without is a text that is taken out of the package's tests: it names the cloud.
	without string
	// harness names a file of testdata that is added to the package.
	harness string
	// env is set beside what all suites get. $STORAGE stands for the address of the stack's
	// Cloud Storage, host and port.
	env     []string
	timeout time.Duration
	// least is how many tests must pass, about nine in ten of those that did: those that a
	// client skips, because it has not found the stack, would not be missed otherwise.
	least int
}

const (
	rclone  = "github.com/rclone/rclone"
	gocloud = "gocloud.dev"
	storage = "cloud.google.com/go/storage"
)

// region is the endpoint that tests of order ask for; it would beat PUBSUB_EMULATOR_HOST.
const region = `, option.WithEndpoint("us-west1-pubsub.googleapis.com:443")`

// versions pins what the suites are of, in one place. Node's are in node/package.json.
var versions = map[string]string{
	rclone:                          "v1.76.0",
	gocloud:                         "v0.49.0",
	storage:                         "v1.70.0",
	"cloud.google.com/go/pubsub":    "v1.52.0",
	"cloud.google.com/go/pubsub/v2": "v2.9.0",
}

// all returns the suites, in the order in which they run.
func all() []suite {
	suites := []suite{
		{
			name: "rclone", module: rclone, pkg: "./backend/googlecloudstorage", run: "^TestIntegration", least: 180,
			env: []string{
				"RCLONE_CONFIG=", // no file, and nobody's own remotes
				"RCLONE_CONFIG_TESTGOOGLECLOUDSTORAGE_TYPE=google cloud storage",
				"RCLONE_CONFIG_TESTGOOGLECLOUDSTORAGE_ENDPOINT=http://$STORAGE/storage/v1/",
				"RCLONE_CONFIG_TESTGOOGLECLOUDSTORAGE_ANONYMOUS=true",
				"RCLONE_CONFIG_TESTGOOGLECLOUDSTORAGE_PROJECT_NUMBER=local",
				"RCLONE_CONFIG_TESTGOOGLECLOUDSTORAGE_BUCKET_POLICY_ONLY=true",
			},
		},
		{
			name: "gcsblob", module: gocloud, pkg: "./blob/gcsblob", run: "^TestLocal$", harness: "gcsblob_test.go", least: 80,
			env: []string{"STORAGE_EMULATOR_HOST=$STORAGE"}, // it puts http:// in front
		},
		{
			name: "gcppubsub", module: gocloud, pkg: "./pubsub/gcppubsub", run: "^TestLocal$", harness: "gcppubsub_test.go",
			least: 15,
		},
		{
			name: "gcppubsub-v2", module: gocloud, pkg: "./pubsub/gcppubsubv2", run: "^TestConformance$", flag: "-record",
			least: 15,
		},
		{name: "storage", module: storage, pkg: ".", run: "Emulated$", flag: "-short", least: 90},
		{name: "storage-retry", module: storage, pkg: ".", run: "^TestRetryConformance$", flag: "-short", least: 200},
		{name: "storage-dataflux", module: storage, pkg: "./dataflux", run: "Emulated$|^TestIntegration_", least: 15},
		{name: "storage-transfer", module: storage, pkg: "./transfermanager", run: "^TestIntegration_", least: 25},
		{
			name: "pubsub", module: "cloud.google.com/go/pubsub", pkg: ".", run: "^TestIntegration_", without: region, least: 30,
		},
		{
			name: "pubsub-v2", module: "cloud.google.com/go/pubsub/v2", pkg: ".", run: "^TestIntegration_", without: region, least: 15,
		},
		{name: "node", least: 50},
	}
	for i := range suites {
		suites[i].version = versions[suites[i].module]
		suites[i].timeout = 5 * time.Minute
	}
	return suites
}

// named returns the suites of these names, in the order in which they run; all of them if
// there are no names.
func named(suites []suite, names []string) ([]suite, error) {
	if len(names) == 0 {
		return suites, nil
	}
	var chosen []suite
	for _, s := range suites {
		if slices.Contains(names, s.name) {
			chosen = append(chosen, s)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(suites, func(s suite) bool { return s.name == n }) {
			return nil, unknownSuite(n, suites)
		}
	}
	return chosen, nil
}
