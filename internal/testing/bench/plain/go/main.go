// Command go is what jobdrop is measured beside: a function that does what a drop asks for with Google's clients, in
// the way of a tutorial. It keeps no records, so it has none of jobdrop's promises: it does not care about what came
// twice, crashed in between, or was overwritten meanwhile.
package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/storage"
	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
	"github.com/cloudevents/sdk-go/v2/event"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"
	"gopkg.in/yaml.v3"
)

func init() { functions.CloudEvent("Submit", submit) }

func main() {
	if err := funcframework.Start(cmp.Or(os.Getenv("PORT"), "8080")); err != nil {
		log.Fatal(err)
	}
}

// clients are made once, at the first event.
type clients struct {
	storage *storage.Client
	topic   *pubsub.Publisher
	jobs    *ml.ProjectsJobsService
}

var load = sync.OnceValues(func() (*clients, error) {
	ctx := context.Background()
	files, err := storage.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	messages, err := pubsub.NewClient(ctx, os.Getenv("JOBDROP_PROJECT"))
	if err != nil {
		return nil, err
	}
	var options []option.ClientOption
	if endpoint := os.Getenv("JOBDROP_BACKEND_ENDPOINT"); endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint+"/"), option.WithoutAuthentication())
	}
	service, err := ml.NewService(ctx, options...)
	if err != nil {
		return nil, err
	}
	return &clients{files, messages.Publisher(os.Getenv("JOBDROP_TOPIC")), service.Projects.Jobs}, nil
})

// submit makes a job of the folder of an object, if all of it is there.
func submit(ctx context.Context, e event.Event) error {
	var object struct{ Bucket, Name string }
	if err := e.DataAs(&object); err != nil {
		return err
	}
	c, err := load()
	if err != nil {
		return err
	}
	bucket := c.storage.Bucket(object.Bucket)
	folder := strings.TrimSuffix(object.Name, path.Base(object.Name))
	jobFile, archive, err := find(ctx, bucket, folder)
	if err != nil || jobFile == nil || archive == nil {
		return err
	}
	text, err := read(ctx, bucket, jobFile)
	if err != nil {
		return err
	}
	content, err := read(ctx, bucket, archive)
	if err != nil {
		return err
	}
	if err := check(content); err != nil {
		log.Printf("%s: %v", archive.Name, err)
		return nil // it does not get better
	}
	spec, err := parse(text)
	if err != nil {
		log.Printf("%s: %v", jobFile.Name, err)
		return nil
	}
	if spec.JobId == "" {
		spec.JobId = fmt.Sprintf("%s_%d", strings.Trim(noID.ReplaceAllString(folder, "_"), "_"), jobFile.Generation)
	}
	spec.TrainingInput.PackageUris = []string{"gs://" + archive.Bucket + "/" + archive.Name}
	_, err = c.jobs.Create("projects/"+os.Getenv("JOBDROP_PROJECT"), spec).Context(ctx).Do()
	var refused *googleapi.Error
	if errors.As(err, &refused) && refused.Code == http.StatusConflict {
		return nil // another event of the drop made it
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(map[string]string{"jobId": spec.JobId, "folder": folder, "state": "submitted"})
	if err != nil {
		return err
	}
	message := &pubsub.Message{Data: data, Attributes: map[string]string{"type": "job.submitted"}}
	_, err = c.topic.Publish(ctx, message).Get(ctx)
	return err
}

// noID are the characters that a job ID does not have.
var noID = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// find returns a folder's job file and its package, nil where it has not exactly one.
func find(
	ctx context.Context, bucket *storage.BucketHandle, folder string,
) (jobFile, archive *storage.ObjectAttrs, err error) {
	packages := 0
	objects := bucket.Objects(ctx, &storage.Query{Prefix: folder, Delimiter: "/"})
	for {
		o, err := objects.Next()
		if err == iterator.Done {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		switch name := path.Base(o.Name); {
		case name == "job.yaml" || name == "job.yml" || name == "job.json":
			jobFile = o
		case strings.HasSuffix(name, ".tar.gz"):
			archive = o
			packages++
		}
	}
	if packages != 1 {
		archive = nil
	}
	return jobFile, archive, nil
}

func read(ctx context.Context, bucket *storage.BucketHandle, o *storage.ObjectAttrs) ([]byte, error) {
	r, err := bucket.Object(o.Name).Generation(o.Generation).NewReader(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// check returns an error if a package is not a gzip'd tar archive with files.
func check(content []byte) error {
	zip, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err
	}
	files := 0
	for archive := tar.NewReader(zip); ; files++ {
		if _, err := archive.Next(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if files == 0 {
		return errors.New("the archive is empty")
	}
	return nil
}

// parse returns the job of a job file.
func parse(text []byte) (*ml.GoogleCloudMlV1__Job, error) {
	var fields map[string]any
	if err := yaml.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	spec := &ml.GoogleCloudMlV1__Job{}
	if err := json.Unmarshal(data, spec); err != nil {
		return nil, err
	}
	if spec.TrainingInput == nil || spec.TrainingInput.PythonModule == "" || spec.TrainingInput.Region == "" {
		return nil, errors.New("trainingInput, its region and its pythonModule are required")
	}
	return spec, nil
}
