package jobspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Rules of what is passed to the trainer. It may be anything, so they only warn.

// argumentOdd: an argument holds a character of a word processor in place of one that looks alike: a
// long dash, or quotes that no shell takes off. The rule only warns.
//
// Source: what is seen in job files.
//
//	 trainingInput:
//	-  args: [—epochs=5]
//	+  args: [--epochs=5]
func argumentOdd(c *check) {
	c.arguments(func(field, value string) {
		where := "begins with"
		r, _ := utf8.DecodeRuneInString(value)
		if !isOdd(r) {
			where = "ends with"
			r, _ = utf8.DecodeLastRuneInString(value)
		}
		if o, ok := oddRune(r); ok {
			c.warn(field, job.Violation{
				Message: fmt.Sprintf("the argument %s %s (%U), which only looks like what is meant", where, o.name, r),
				Remedy:  oddRemedy(value, r),
			})
		}
	})
}

var option = regexp.MustCompile(`^(--?[A-Za-z][\w-]*)[ \t]+(\S.*)$`)

// argumentSpace: each entry of args is one argument, and no shell takes it apart. The rule only warns.
//
// Source: reference, args: they are passed to the program.
//
//	 trainingInput:
//	-  args: [--epochs 5]
//	+  args: [--epochs, '5']
func argumentSpace(c *check) {
	c.arguments(func(field, value string) {
		if strings.Contains(field, "Command[") || c.f.places[c.f.parent(field)].text != "" || c.hasShell() {
			return // a shell's own, or reported with the list
		}
		if m := option.FindStringSubmatch(value); m != nil {
			c.warn(field, job.Violation{
				Message: "the option and its value are one argument, with the space between them",
				Remedy:  "write two entries, " + show(m[1]) + " and " + show(m[2]) + ", or one with an equals sign",
			})
		}
	})
}

// arguments yields each text that reaches the trainer as a part of its command: the arguments of the
// job, and those and the commands of its containers.
func (c *check) arguments(yield func(field, value string)) {
	list := func(field string, values []string) {
		for i, value := range values {
			yield(element(field, i), value)
		}
	}
	list(below+"args", c.in.Args)
	for _, r := range c.roles {
		if r.Config != nil {
			list(r.ConfigField()+".containerCommand", r.Config.ContainerCommand)
			list(r.ConfigField()+".containerArgs", r.Config.ContainerArgs)
		}
	}
}

// hasShell reports whether a container's command is a shell, which reads arguments in
// its own way.
func (c *check) hasShell() bool {
	return slices.ContainsFunc(c.roles[:], func(r job.Role) bool {
		return r.Config != nil && slices.ContainsFunc(r.Config.ContainerCommand, func(word string) bool {
			name := word[strings.LastIndexByte(word, '/')+1:]
			return slices.Contains([]string{"sh", "bash", "dash", "zsh", "ash", "env"}, name)
		})
	})
}

// oddRemedy is what to do about an odd character at the beginning or the end of an argument.
func oddRemedy(argument string, r rune) string {
	rest := strings.TrimFunc(argument, isOdd)
	if o, _ := oddRune(r); o.instead == "-" && rest != "" && rest[0] != '-' {
		return "write " + show("--"+rest)
	}
	return "write " + show(rest)
}

// argumentPlaceholder: no shell reads the arguments on the way to the trainer, so $NAME and its like
// reach it as they stand. The rule only warns: an argument may hold anything.
//
// Source: reference, args: they are passed to the program.
//
//	 trainingInput:
//	-  args: [--user=$USER]
//	+  args: [--user=ada]
func argumentPlaceholder(c *check) {
	c.arguments(func(field, value string) {
		found := placeholder(value, literals)
		if found == "" || found[0] == '$' && c.hasShell() {
			return
		}
		v := placeholderViolation(found)
		if found[0] == '$' {
			v.Message = fmt.Sprintf("the trainer gets %s as it stands: no shell replaces it",
				printable(text.Shorten(found, maxShown)))
		}
		c.warn(field, v)
	})
}
