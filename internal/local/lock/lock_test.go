package lock_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local/lock"
)

var errInUse = errors.New("somebody uses the folder")

// holder names the folder that this program holds when a test has started it.
const holder = "JOBDROP_TEST_LOCK"

func TestMain(m *testing.M) {
	dir := os.Getenv(holder)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := lock.Dir(dir, errInUse); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
}

func TestDir(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock.Dir(dir, errInUse)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Dir(dir, errInUse); !errors.Is(err, errInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second lock: %v, want %v and the folder's name", err, errInUse)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = lock.Dir(dir, errInUse)
	if err != nil {
		t.Fatalf("after it was unlocked: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestDirIsMissing(t *testing.T) {
	_, err := lock.Dir(filepath.Join(t.TempDir(), "none"), errInUse)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want %v", err, os.ErrNotExist)
	}
}

func TestLockEndsWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), holder+"="+dir)
	if _, err := c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("the other process printed %q (%v)", line, err)
	}
	if _, err := lock.Dir(dir, errInUse); !errors.Is(err, errInUse) {
		t.Errorf("while the other process runs: %v, want %v", err, errInUse)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	unlock, err := lock.Dir(dir, errInUse)
	if err != nil {
		t.Fatalf("after it was killed: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
