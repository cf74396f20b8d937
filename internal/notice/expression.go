package notice

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/jobdrop/jobdrop/internal/text"
)

// Bounds of expressions. An operator writes them, and what they are evaluated with comes from jobs. Together they
// keep the worst expression to milliseconds and a few megabytes; a usual one takes a microsecond.
const (
	// MaxExpression is the longest expression in bytes, maxNodes the most parts that it has.
	MaxExpression = 2 << 10
	maxNodes      = 200
	// maxMemory counts the entries of all lists that an evaluation makes.
	maxMemory = 10_000
	// maxResult is the longest text in bytes that an expression makes on its way, maxParts the most parts of a text.
	maxResult = 16 << 10
	maxParts  = 200
)

// ExpressionError says what is wrong in an expression, and where.
type ExpressionError struct {
	// Offset is the place in characters from the beginning of the expression.
	Offset int
	// Message is one line.
	Message string
}

func (e *ExpressionError) Error() string { return e.Message }

// Condition is an expression that holds for an event or not.
type Condition struct {
	program *vm.Program
}

// CompileWhen compiles a condition. Its error is an [*ExpressionError].
func CompileWhen(text string) (*Condition, error) {
	program, err := compile(text)
	if err != nil {
		return nil, err
	}
	if t := program.Node().Type(); t.Kind() != reflect.Bool {
		return nil, &ExpressionError{Message: "the expression is " + kindName(t) + ", not true or false"}
	}
	return &Condition{program}, nil
}

// Holds reports whether the condition holds. An error says what went wrong in one line; the condition neither
// holds then, nor does it not.
func (c *Condition) Holds(s *Scope) (bool, error) {
	out, err := s.run(c.program)
	if err != nil {
		return false, err
	}
	holds, ok := out.(bool)
	if !ok {
		return false, &ExpressionError{Message: "the expression is " + kindName(reflect.TypeOf(out)) +
			", not true or false"}
	}
	return holds, nil
}

// run evaluates a program.
func (s *Scope) run(p *vm.Program) (out any, err error) {
	s.machine.MemoryBudget = maxMemory
	out, err = s.machine.Run(p, &s.vars)
	if err != nil {
		fault := expressionError(err, "")
		source := p.Source()
		fault.Message = line(s.explained(fault.Message, source.String()), maxFact)
		return nil, fault
	}
	return out, nil
}

// compile compiles an expression over [Vars].
func compile(source string) (*vm.Program, error) {
	switch {
	case strings.TrimSpace(source) == "":
		return nil, &ExpressionError{Message: "the expression is empty"}
	case len(source) > MaxExpression:
		return nil, &ExpressionError{Message: fmt.Sprintf("the expression has more than %d bytes", MaxExpression)}
	}
	guard := &guard{}
	program, err := expr.Compile(source, append(language(), expr.Patch(guard))...)
	if guard.fault != nil { // says more than what the compiler makes of it
		return nil, guard.fault
	}
	if err != nil {
		return nil, expressionError(err, source)
	}
	return program, nil
}

// expressionError returns the first line of an error, without the excerpt that follows it, and its place. The source
// is that of an expression that could not be compiled.
func expressionError(err error, source string) *ExpressionError {
	var at *file.Error
	if !errors.As(err, &at) {
		return &ExpressionError{Message: line(err.Error(), maxFact)}
	}
	message := strings.TrimPrefix(at.Message, "runtime error: ")
	return &ExpressionError{Offset: at.From, Message: line(advised(message, source, at.From), maxFact)}
}

// closest returns the variable that a name is a misspelling of, or "".
func closest(name string) string {
	best, least := "", 3
	if len(name) > 40 {
		return ""
	}
	for _, v := range variables() {
		if n := text.Distance(strings.ToLower(name), strings.ToLower(v)); n < least && n <= max(1, len(v)/3) {
			best, least = v, n
		}
	}
	return best
}

// variables returns the names of the variables, in the order of [Vars].
var variables = sync.OnceValue(func() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Vars]()) {
		names = append(names, f.Tag.Get("expr"))
	}
	return names
})

// builtins are the functions of the language that expressions may use: those that are the same at each call, and
// whose results are no larger than what they get. The first ones take a condition for a list's entries.
var builtins = [...]string{
	"all", "any", "none", "one", "filter", "map", "find", "count",
	"len", "lower", "upper", "trim", "trimPrefix", "trimSuffix", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
	"first", "last", "int", "float", "abs", "ceil", "floor", "round", "min", "max", "duration",
}

// methods are what can be asked of times and durations.
var methods = map[string]bool{
	"Hours": true, "Minutes": true, "Seconds": true, "String": true, "Format": true, "Weekday": true, "Month": true,
	"Year": true, "Day": true, "Hour": true, "Minute": true, "Unix": true, "Before": true, "After": true, "Sub": true,
	"Add": true,
}

// language returns the options that expressions are compiled with.
var language = sync.OnceValue(func() []expr.Option {
	options := []expr.Option{expr.Env(&Vars{}), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins()}
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	return append(options,
		expr.Function("concatenate", func(in ...any) (any, error) {
			return limited(in[0].(string) + in[1].(string))
		}, new(func(string, string) string)),
		expr.Operator("+", "concatenate"),
		expr.Function("join", func(in ...any) (any, error) {
			separator := ""
			if len(in) > 1 {
				separator, _ = in[1].(string)
			}
			parts, err := texts(in[0])
			if err != nil {
				return nil, err
			}
			return join(parts, separator)
		}, new(func([]any, string) string), new(func([]any) string), new(func([]string, string) string),
			new(func([]string) string)),
		expr.Function("split", func(in ...any) (any, error) {
			parts := strings.SplitN(in[0].(string), in[1].(string), maxParts+1)
			if len(parts) > maxParts {
				return nil, fmt.Errorf("the text has more than %d parts", maxParts)
			}
			return parts, nil
		}, new(func(string, string) []string)),
		expr.Function("replace", func(in ...any) (any, error) {
			s, from, to := in[0].(string), in[1].(string), in[2].(string)
			if n := strings.Count(s, from); len(s)+n*max(0, len(to)-len(from)) > maxResult {
				return nil, errTooLong()
			}
			return strings.ReplaceAll(s, from, to), nil
		}, new(func(string, string, string) string)),
		expr.Function("string", func(in ...any) (any, error) { return format(in[0]) },
			new(func(any) string)),
	)
})

func errTooLong() error { return fmt.Errorf("the text gets longer than %d bytes", maxResult) }

func limited(s string) (string, error) {
	if len(s) > maxResult {
		return "", errTooLong()
	}
	return s, nil
}

// join is strings.Join within the bound.
func join(parts []string, separator string) (string, error) {
	n := 0
	for _, part := range parts {
		if n += len(part) + len(separator); n > maxResult+len(separator) {
			return "", errTooLong()
		}
	}
	return strings.Join(parts, separator), nil
}

// texts returns the entries of a list as texts.
func texts(list any) ([]string, error) {
	switch list := list.(type) {
	case []string:
		return list, nil
	case []any:
		out := make([]string, len(list))
		for i, entry := range list {
			if _, nested := entry.([]any); nested {
				return nil, errors.New("a list in a list is not a text")
			}
			s, err := format(entry)
			if err != nil {
				return nil, err
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, errors.New("this is not a list of texts")
}

// format returns a value as a text: a list's entries with commas between them.
func format(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return limited(v)
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), nil
		}
		return strconv.FormatFloat(v, 'g', 6, 64), nil
	case time.Duration:
		return Duration(v), nil
	case time.Time:
		return when(v), nil
	case []string, []any:
		parts, err := texts(v)
		if err != nil {
			return "", err
		}
		return join(parts, ", ")
	case nil:
		return "", errors.New("there is no value")
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if s, ok := value.(fmt.Stringer); ok { // a weekday or a month
			return s.String(), nil
		}
		return strconv.FormatInt(v.Int(), 10), nil
	}
	return "", fmt.Errorf("%s is not a text", kindName(reflect.TypeOf(value)))
}

// isText reports whether a value of a type may be written in a text. Of nil, it is known at run time only.
func isText(t reflect.Type) bool {
	if t == nil || t == reflect.TypeFor[time.Time]() {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float64, reflect.Int, reflect.Int32, reflect.Int64, reflect.Interface:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.String || t.Elem().Kind() == reflect.Interface
	}
	return false
}

// kindName returns what messages call the values of a type.
func kindName(t reflect.Type) string {
	switch {
	case t == nil:
		return "nothing"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration"
	case t == reflect.TypeFor[time.Time]():
		return "a time"
	case t == reflect.TypeFor[Violation]():
		return "a violation"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	case reflect.Pointer:
		return kindName(t.Elem())
	}
	return "a value"
}

// guard refuses what would let an expression take long or much memory, or be something else at each call.
type guard struct {
	fault *ExpressionError
}

func (g *guard) refuse(n ast.Node, message string) {
	if g.fault == nil || n.Location().From < g.fault.Offset {
		g.fault = &ExpressionError{n.Location().From, message}
	}
}

// Visit is called for each node after those within it.
func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			g.refuse(n, "$env is not a variable")
		}
	case *ast.BuiltinNode:
		g.builtin(n)
	case *ast.BinaryNode:
		switch n.Operator {
		case "..":
			g.refuse(n, "ranges can't be used here")
		case "matches":
			if _, constant := n.Right.(*ast.StringNode); !constant {
				g.refuse(n.Right, "the pattern after matches must be written out")
			}
		case "+":
			if unknown(n.Left) || unknown(n.Right) {
				g.refuse(n, "the type of what + adds is not known; write string(…) or int(…) around it")
			}
		}
	case *ast.CallNode:
		if m, ok := n.Callee.(*ast.MemberNode); ok {
			if name, ok := m.Property.(*ast.StringNode); !ok || !methods[name.Value] {
				g.refuse(n, "this can't be called")
			}
		}
	}
}

func unknown(n ast.Node) bool {
	t := n.Type()
	return t == nil || t.Kind() == reflect.Interface
}

func (g *guard) builtin(n *ast.BuiltinNode) {
	known := false
	for _, name := range builtins {
		known = known || name == n.Name
	}
	if !known {
		g.refuse(n, n.Name+" is not a variable or function")
		return
	}
	if n.Name == "duration" && len(n.Arguments) == 1 {
		if s, ok := n.Arguments[0].(*ast.StringNode); ok {
			if _, err := time.ParseDuration(s.Value); err != nil {
				g.refuse(s, text.Show(s.Value, maxShown)+` is not a duration such as "90m" or "24h"`)
			}
		}
	}
	for _, argument := range n.Arguments {
		if body, ok := argument.(*ast.PredicateNode); ok {
			var inner predicates
			ast.Walk(&body.Node, &inner)
			if inner.first != nil {
				g.refuse(inner.first, "a condition for a list's entries can't hold another one")
			}
		}
	}
}

// predicates finds a function that takes a condition.
type predicates struct{ first ast.Node }

func (p *predicates) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.PredicateNode); ok {
		p.first = n
	}
}

const maxShown = 80

// runes returns how many characters a text has.
func runes(s string) int { return utf8.RuneCountInString(s) }
