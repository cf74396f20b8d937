package process

import (
	"bufio"
	"io"
	"os/exec"
	"runtime"
	"testing"
)

// TestSparesStrangers: a PID that came back to someone else is left alone.
func TestSparesStrangers(t *testing.T) {
	cmd := exec.Command("cat")
	cmd.SysProcAttr = ownGroup()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	home, host := t.TempDir(), Host{}
	start := startOf(cmd.Process.Pid)
	if start == "" {
		t.Fatal("the start of a running process is not known")
	}
	host.RemoveOrphans([]Group{{PID: cmd.Process.Pid, Start: start + "0"}}, home)
	host.RemoveOrphans([]Group{{PID: cmd.Process.Pid}}, home)
	if _, err := io.WriteString(in, "alive\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "alive\n" {
		t.Fatalf("a stranger was killed: %q, %v", line, err)
	}
	host.RemoveOrphans([]Group{{PID: cmd.Process.Pid, Start: start}}, home)
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended well, want it killed")
	}
}

// TestOrphansByHome: a process whose group's leader is gone is told by its HOME.
func TestOrphansByHome(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only /proc tells a process's environment")
	}
	home, host := t.TempDir(), Host{}
	cmd := exec.Command("cat")
	cmd.Env = []string{"HOME=" + home}
	in, err := cmd.StdinPipe() // kept open: cat ends by a signal only
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	host.RemoveOrphans(nil, home+"x")
	host.RemoveOrphans(nil, home)
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended well, want it killed")
	}
}

func TestHomeIn(t *testing.T) {
	for _, tt := range []struct {
		environ string
		want    bool
	}{
		{"A=1\x00HOME=/j/home\x00B=2", true},
		{"HOME=/j/home/worker-replica-0\x00", true},
		{"HOME=/j/home2\x00", false},
		{"XHOME=/j/home\x00", false},
		{"", false},
	} {
		if got := homeIn(tt.environ, "/j/home"); got != tt.want {
			t.Errorf("%q: %v", tt.environ, got)
		}
	}
}
