package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"google.golang.org/api/googleapi"

	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The rights that commands need on an installation, as IAM names them.
const (
	rightGet    = "storage.objects.get"
	rightList   = "storage.objects.list"
	rightCreate = "storage.objects.create"
)

// objects is what the commands that look at an installation need of Cloud Storage.
type objects interface {
	ListPage(ctx context.Context, bucket, prefix, after string, most int) (page []job.Attributes, more bool, err error)
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
}

// rights is a Cloud Storage whose refusals name the right that the caller lacks: a [*rightError].
type rights struct{ objects }

func (r rights) ListPage(
	ctx context.Context, bucket, prefix, after string, most int,
) (page []job.Attributes, more bool, err error) {
	page, more, err = r.objects.ListPage(ctx, bucket, prefix, after, most)
	return page, more, lacking(err, rightList, "gs://"+bucket)
}

func (r rights) Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error) {
	data, read, err := r.objects.Read(ctx, bucket, name, generation, limit)
	return data, read, lacking(err, rightGet, "gs://"+bucket)
}

func (r rights) Stat(ctx context.Context, bucket, name string) (job.Attributes, error) {
	o, err := r.objects.Stat(ctx, bucket, name)
	return o, lacking(err, rightGet, "gs://"+bucket)
}

func (r rights) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (int64, error) {
	generation, err := r.objects.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration)
	return generation, lacking(err, rightCreate, "gs://"+bucket)
}

// rightError reports which right the caller lacks.
type rightError struct {
	right, on string
	err       error
}

func (e *rightError) Error() string {
	text := fmt.Sprintf("you lack the right %s on %s", e.right, e.on)
	if e.right == rightGet {
		// Without the right to list, Cloud Storage does not say whether an object is there.
		text += ", or what is asked for is not there and you lack " + rightList
	}
	return fmt.Sprintf("%s: ask whoever runs the installation for it (%v)", text, e.err)
}

func (e *rightError) Unwrap() error { return e.err }

// lacking returns err with the right that the caller lacks, if a service denied the call.
func lacking(err error, right, on string) error {
	if errors.Is(err, job.ErrDenied) {
		return &rightError{right, on, err}
	}
	return err
}

// lacks reports whether err is that the caller lacks a right.
func lacks(err error) bool {
	_, ok := errors.AsType[*rightError](err)
	_, log := errors.AsType[*logs.DeniedError](err)
	return ok || log
}

// refused reports whether a service refused the caller's credentials, or gave no token for them.
func refused(err error) bool {
	api, ok := errors.AsType[*googleapi.Error](err)
	return ok && api.Code == http.StatusUnauthorized || errors.Is(err, job.ErrCredentials)
}

// passing reports whether a failure may be over in a while: a service is busy or down, or the network is.
func passing(err error) bool {
	if api, ok := errors.AsType[*googleapi.Error](err); ok {
		return api.Code == http.StatusRequestTimeout || api.Code == http.StatusTooManyRequests ||
			api.Code >= http.StatusInternalServerError
	}
	sent, ok := errors.AsType[*url.Error](err)
	if ok {
		err = sent.Err // sent is a net.Error itself, also of credentials that are not valid
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF) || ok && errors.Is(err, io.EOF)
}

// unanswered reports whether a call got no answer for lack of a network, of a working service, or of valid credentials.
func unanswered(err error) bool {
	_, sent := errors.AsType[*url.Error](err)
	return sent || passing(err) || refused(err)
}

// ended returns err with the exit code of a command that looks at an installation.
func ended(ctx context.Context, err error) error {
	_, coded := errors.AsType[*exitError](err)
	_, unknown := errors.AsType[*unknownError](err)
	switch {
	case err == nil || coded:
		return err
	case unknown:
		return exit(exitUnknown, "%w", err)
	case ctx.Err() != nil:
		return &exitError{code: exitInterrupted}
	case lacks(err):
		return missing(err)
	case refused(err):
		return exit(exitMissing, "%w; "+login, err)
	case unanswered(err):
		return missing(err)
	case errors.Is(err, ledger.ErrQuery):
		return exit(exitUsage, "%w", err)
	}
	return fault(err)
}
