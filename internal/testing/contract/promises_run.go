package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// programs are the promises about what a job's programs see. They are held where the service runs programs.
func programs() []Promise {
	return []Promise{
		{
			Name:   "every replica knows its role",
			Breach: "the replicas of a job train beside each other, or wait for others for ever",
			For:    []string{"submitter.ask"}, programs: true,
			check: roles,
		},
		{
			Name:   "a run limit ends a program",
			Breach: "a job that hangs runs, and costs, until somebody notices",
			For:    []string{"attempt.timedOut", "watcher.cancel"}, programs: true,
			check: runEnds,
		},
		{
			Name:   "trials run with their parameters, and few at a time",
			Breach: "a tuning job tries the same again and again, overwrites its results, or takes all machines",
			For:    []string{"attempt.follow"}, programs: true,
			check: trialsRun,
		},
	}
}

// program returns an order of a program.
func (c *try) program(n, python string, change func(s *job.Spec)) (job.Order, error) {
	s, err := c.Programs.Job(c.name+"_"+n, python)
	if err != nil {
		return job.Order{}, err
	}
	change(&s)
	return c.as(job.Order{Spec: s}, c.name, n), nil
}

// lines waits for n lines of a job's programs that begin with a word, and returns what follows it.
func (c *try) lines(made attempt.BackendJob, word string, n int) ([]string, error) {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		var found []string
		for _, line := range c.Programs.Output(made) {
			if rest, ok := strings.CutPrefix(line, word+" "); ok {
				found = append(found, rest)
			}
		}
		if len(found) >= n {
			return found, nil
		}
		got, err := c.get(made)
		if err != nil {
			return nil, err
		}
		select {
		case <-poll.C:
		case <-c.Done():
			return nil, fmt.Errorf("%d lines %q, want %d; the job is %s: %s", len(found), word, n, got.State, got.Message)
		}
		if !got.Ended.IsZero() && len(found) == len(c.Programs.Output(made)) {
			return nil, fmt.Errorf("%d lines %q, want %d; the job is %s: %s", len(found), word, n, got.State, got.Message)
		}
	}
}

// rolesProgram says what its replica knows of itself, and goes on until it is ended.
const rolesProgram = `
import os, time
print("ROLE", os.environ.get("TF_CONFIG", "{}").replace("\n", " "), flush=True)
while True:
    time.sleep(0.1)
`

func roles(c *try) error {
	o, err := c.program("a", rolesProgram, func(s *job.Spec) {
		in := s.TrainingInput
		in.ScaleTier, in.MasterType, in.WorkerType = "CUSTOM", "n1-standard-4", "n1-standard-4"
		in.ParameterServerType, in.EvaluatorType = "n1-standard-4", "n1-standard-4"
		in.WorkerCount, in.ParameterServerCount, in.EvaluatorCount = 2, 1, 1
	})
	if err != nil {
		return err
	}
	made, err := c.create(o)
	if err != nil {
		return err
	}
	defer func() { _ = c.backend.Cancel(c, c.info(made)) }()
	lines, err := c.lines(made, "ROLE", 5)
	if err != nil {
		return err
	}
	var seen []string
	for _, line := range lines {
		var config struct {
			Cluster map[string][]string
			Task    struct {
				Type  string
				Index json.Number
			}
		}
		if err := json.Unmarshal([]byte(line), &config); err != nil {
			return fmt.Errorf("TF_CONFIG %s: %w", line, err)
		}
		role := config.Task.Type
		if role == "chief" {
			role = "master"
		}
		seen = append(seen, role+" "+config.Task.Index.String())
		sizes := map[string]int{}
		for name, addresses := range config.Cluster {
			sizes[name] = len(addresses)
		}
		first := sizes["master"] + sizes["chief"] // either name
		delete(sizes, "master")
		delete(sizes, "chief")
		delete(sizes, "evaluator") // it is no part of the training; services differ in whether they name it
		if first != 1 || !maps.Equal(sizes, map[string]int{"worker": 2, "ps": 1}) {
			return fmt.Errorf("%s sees the cluster %s", seen[len(seen)-1], line)
		}
	}
	slices.Sort(seen)
	if want := []string{"evaluator 0", "master 0", "ps 0", "worker 0", "worker 1"}; !slices.Equal(seen, want) {
		return fmt.Errorf("the replicas are %q, want %q", seen, want)
	}
	return nil
}

const endlessProgram = `
import time
while True:
    time.sleep(0.1)
`

func runEnds(c *try) error {
	o, err := c.program("a", endlessProgram, func(s *job.Spec) {
		s.TrainingInput.Scheduling = &job.Scheduling{MaxRunningTime: "1s"}
	})
	if err != nil {
		return err
	}
	made, err := c.create(o)
	if err != nil {
		return err
	}
	r := attempt.Record{
		Attempt: o.JobID, State: job.Accepted, Spec: &o.Spec, Backend: c.backend.Name(), Job: job.JobInfo{ID: o.JobID},
		Times: job.Times{Accepted: made.Created},
	}
	ended, err := c.ended(made)
	if err != nil {
		return err
	}
	if r, _, err = attempt.Step(r, attempt.Seen(ended, ended.Ended), ended.Ended); err != nil {
		return err
	}
	return timedOut(r, job.KindRun, job.ByBackend)
}

// trialProgram tells its loss: its parameter less a half, squared.
const trialProgram = `
import argparse, json, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--job-dir")
options, _ = parser.parse_known_args()
print("TRIAL %s %r" % (options.job_dir, options.rate), flush=True)
time.sleep(0.2)
path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "a") as f:
    f.write(json.dumps({"timestamp": time.time(), "trial": "0", "loss": str((options.rate - 0.5) ** 2),
                        "global_step": "30"}) + "\n")
`

func trialsRun(c *try) error {
	o, err := c.program("a", trialProgram, func(s *job.Spec) { s.TrainingInput.Hyperparameters = hyperparameters() })
	if err != nil {
		return err
	}
	made, err := c.create(o)
	if err != nil {
		return err
	}
	ended, most, err := c.tuned(made)
	if err != nil {
		return err
	}
	if ended.State != job.BackendSucceeded || len(ended.Trials) != 3 || most > 2 {
		return fmt.Errorf("the tuning job is %s with %d trials, %d of them at once, want 3 and 2: %s", ended.State,
			len(ended.Trials), most, ended.Message)
	}
	for _, t := range ended.Trials {
		rate, err := strconv.ParseFloat(t.Parameters["rate"], 64)
		if err != nil || t.Objective == nil || *t.Objective != (rate-0.5)*(rate-0.5) {
			return fmt.Errorf("trial %+v", t)
		}
	}
	lines, err := c.lines(made, "TRIAL", 3)
	if err != nil {
		return err
	}
	folders, rates := map[string]bool{}, map[string]bool{}
	for _, line := range lines {
		folder, rate, _ := strings.Cut(line, " ")
		folders[folder], rates[rate] = true, true
	}
	if len(folders) != 3 || len(rates) != 3 {
		return fmt.Errorf("the trials have the folders %v and the rates %v", folders, rates)
	}
	return nil
}

// tuned waits for a tuning job's end, and returns how many trials were seen to run at once.
func (c *try) tuned(made attempt.BackendJob) (ended attempt.BackendJob, most int, err error) {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		got, err := c.get(made)
		if err != nil || !got.Ended.IsZero() {
			return got, most, err
		}
		n := 0
		for _, t := range got.Trials {
			if t.State == job.BackendRunning {
				n++
			}
		}
		most = max(most, n)
		select {
		case <-poll.C:
		case <-c.Done():
			return got, most, c.Err()
		}
	}
}
