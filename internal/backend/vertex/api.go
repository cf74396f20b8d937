package vertex

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	aiplatform "google.golang.org/api/aiplatform/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/backend/internal/rest"
)

// api is what is asked of the service in one region, in either collection. The calls
// are func fields, since a type that reaches the client's own would keep all of its
// thousand calls, 11 MB, in each binary that looks up any method by its name.
type api struct {
	create func(ctx context.Context, r Request) (*found, error)
	get    func(ctx context.Context, collection, name string) (*found, error)
	list   func(ctx context.Context, collection, parent, filter, token string) (jobs []*found, next string, err error)
	cancel func(ctx context.Context, collection, name string) error
}

// newAPI makes the calls of a service at a base URL.
func newAPI(client *http.Client, url string) (api, error) {
	s, err := aiplatform.NewService(context.Background(), option.WithHTTPClient(client), option.WithEndpoint(url))
	if err != nil {
		return api{}, fmt.Errorf("aiplatform/v1 client: %w", err)
	}
	jobs := s.Projects.Locations
	return api{
		create: func(ctx context.Context, r Request) (*found, error) {
			if r.Tuning != nil {
				j, err := jobs.HyperparameterTuningJobs.Create(r.Parent, r.Tuning).Context(ctx).Do()
				return ofTuning(j), err
			}
			j, err := jobs.CustomJobs.Create(r.Parent, r.Custom).Context(ctx).Do()
			return ofCustom(j), err
		},
		get: func(ctx context.Context, collection, name string) (*found, error) {
			if collection == tuningJobs {
				j, err := jobs.HyperparameterTuningJobs.Get(name).Context(ctx).Do()
				return ofTuning(j), err
			}
			j, err := jobs.CustomJobs.Get(name).Context(ctx).Do()
			return ofCustom(j), err
		},
		list: func(ctx context.Context, collection, parent, filter, token string) (all []*found, next string, err error) {
			if collection == tuningJobs {
				page, err := jobs.HyperparameterTuningJobs.List(parent).Filter(filter).ReadMask(mask).
					PageSize(pageSize).PageToken(token).Context(ctx).Do()
				if err != nil || page == nil {
					return nil, "", cmp.Or(err, rest.ErrNoJob)
				}
				for _, j := range page.HyperparameterTuningJobs {
					all = append(all, ofTuning(j))
				}
				return all, page.NextPageToken, nil
			}
			page, err := jobs.CustomJobs.List(parent).Filter(filter).ReadMask(mask).PageSize(pageSize).PageToken(token).Context(ctx).Do()
			if err != nil || page == nil {
				return nil, "", cmp.Or(err, rest.ErrNoJob)
			}
			for _, j := range page.CustomJobs {
				all = append(all, ofCustom(j))
			}
			return all, page.NextPageToken, nil
		},
		cancel: func(ctx context.Context, collection, name string) (err error) {
			if collection == tuningJobs {
				_, err = jobs.HyperparameterTuningJobs.Cancel(name,
					&aiplatform.GoogleCloudAiplatformV1CancelHyperparameterTuningJobRequest{}).Context(ctx).Do()
				return err
			}
			_, err = jobs.CustomJobs.Cancel(name, &aiplatform.GoogleCloudAiplatformV1CancelCustomJobRequest{}).Context(ctx).Do()
			return err
		},
	}, nil
}
