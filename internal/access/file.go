package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file of tokens.
const (
	// maxTokens keeps a comparison with each of them below 0.1 ms.
	maxTokens = 1000
	maxFile   = 1 << 20
)

// nameRE is what a name may be: it stands in logs, in crawls and in tables.
var nameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$`)

// File is what a file of tokens says.
type File struct {
	// Roles are what all callers of a role have, those of an OIDC issuer too.
	Roles map[Role]RoleRules
	// Tokens are the callers with tokens.
	Tokens []Token
}

// RoleRules bound callers that have no bounds of their own.
type RoleRules struct {
	Quotas Quotas
	Specs  Specs
}

// fileYAML is the file as written.
type fileYAML struct {
	Roles  map[string]rulesYAML `yaml:"roles"`
	Tokens []tokenYAML          `yaml:"tokens"`
}

type rulesYAML struct {
	Quotas Quotas `yaml:"quotas"`
	Specs  Specs  `yaml:"specs"`
}

type tokenYAML struct {
	Name      string `yaml:"name"`
	SHA256    string `yaml:"sha256"`
	Role      string `yaml:"role"`
	Expires   string `yaml:"expires"`
	rulesYAML `yaml:",inline"`
}

// ParseFile reads a file of tokens. All mistakes come joined; none of them has more of
// the file in it than names.
func ParseFile(data []byte) (*File, error) {
	var in fileYAML
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not a file of tokens: %s", yamlProblem(err))
	}
	if len(in.Tokens) > maxTokens {
		return nil, fmt.Errorf("%d tokens, at most %d: take an OIDC issuer for so many callers", len(in.Tokens), maxTokens)
	}
	out := &File{Roles: map[Role]RoleRules{}}
	var errs []error
	for name, r := range in.Roles {
		role, err := ParseRole(name)
		if err = errors.Join(err, r.Specs.Validate()); err != nil {
			errs = append(errs, fmt.Errorf("roles: %w", err))
			continue
		}
		out.Roles[role] = RoleRules(r)
	}
	names, hashes := map[string]bool{}, map[Hash]bool{}
	for i, t := range in.Tokens {
		token, err := t.token(out.Roles)
		switch {
		case err != nil:
		case names[token.Caller.Name]:
			err = errors.New("the name is taken")
		case hashes[token.Hash]:
			err = errors.New("the same token has another name already")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("token %d: %w", i+1, err))
			continue
		}
		names[token.Caller.Name], hashes[token.Hash] = true, true
		out.Tokens = append(out.Tokens, token)
	}
	return out, errors.Join(errs...)
}

// token checks one token.
func (t tokenYAML) token(roles map[Role]RoleRules) (Token, error) {
	var out Token
	if !nameRE.MatchString(t.Name) {
		// What stands there may be the token itself, put into the wrong line.
		return out, errors.New("name: want letters, digits and any of . _ @ -, at most 63")
	}
	role, err := ParseRole(t.Role)
	if err != nil {
		return out, fmt.Errorf("%s: role: want read, submit or admin", t.Name)
	}
	if err := out.Hash.UnmarshalText([]byte(t.SHA256)); err != nil {
		return out, fmt.Errorf("%s: sha256: want the 64 hexadecimal digits that `weir token new` prints", t.Name)
	}
	if t.Expires != "" {
		if out.Expires, err = parseTime(t.Expires); err != nil {
			return out, fmt.Errorf("%s: expires: want a day such as 2027-01-31 or a time as in RFC 3339", t.Name)
		}
	}
	if err := t.Specs.Validate(); err != nil {
		return out, fmt.Errorf("%s: %w", t.Name, err)
	}
	base := roles[role]
	out.Caller = Caller{Name: t.Name, Role: role, Quotas: t.Quotas.over(base.Quotas), Specs: t.Specs.over(base.Specs)}
	return out, nil
}

// parseTime reads a time, or the end of a day in UTC.
func parseTime(s string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	return time.Parse(time.RFC3339, s)
}

// yamlProblem is the position in an error of the YAML library, which quotes the text.
func yamlProblem(err error) string {
	line := regexp.MustCompile(`line \d+(: (field|cannot unmarshal !!\w+))?`).FindString(err.Error())
	if line == "" {
		return "it cannot be read as YAML"
	}
	return line + ": want the keys roles and tokens, and in a token name, sha256, role, expires, quotas and specs"
}

// stamp tells one state of a file from another; a Secret of Kubernetes is another file
// behind the same name.
type stamp struct {
	mod  time.Time
	size int64
	file os.FileInfo
}

func (s stamp) same(o stamp) bool {
	return s.file != nil && o.file != nil && s.mod.Equal(o.mod) && s.size == o.size && os.SameFile(s.file, o.file)
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{mod: info.ModTime(), size: info.Size(), file: info}, nil
}

// readFile reads a file of tokens that nobody else may write.
func readFile(path string) (*File, stamp, error) {
	s, err := stampOf(path)
	if err != nil {
		return nil, s, fmt.Errorf("read tokens: %w", err)
	}
	if err := checkMode(path, s.file.Mode()); err != nil {
		return nil, s, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, s, fmt.Errorf("read tokens: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, s, fmt.Errorf("read tokens: %w", err)
	}
	if len(data) > maxFile {
		return nil, s, fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	parsed, err := ParseFile(data)
	if err != nil {
		return nil, s, fmt.Errorf("%s: %w", path, err)
	}
	return parsed, s, nil
}

// checkMode refuses a file that others may write: whoever may do so is admin.
func checkMode(path string, mode fs.FileMode) error {
	if !mode.IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if mode.Perm()&0o022 != 0 {
		return fmt.Errorf("%s may be written by others than its owner (mode %04o): chmod go-w %s", path, mode.Perm(), path)
	}
	return nil
}
