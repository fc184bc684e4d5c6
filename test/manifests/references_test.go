package manifests

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// brought are the Secrets that whoever installs Weir brings: no build has them.
func brought(name string) bool {
	return slices.Contains([]string{"weir-frontier", "weir-catalogue", "weir-archive", "weir-crawl-secrets", "weir-access"}, name) ||
		strings.HasPrefix(name, "weir-tls-") || strings.HasPrefix(name, "weir-nats-")
}

// referencesExist: what a pod names is there.
func referencesExist(s *set) (bad []string) {
	for _, w := range s.workloads {
		say := func(format string, args ...any) { bad = append(bad, w.String()+": "+fmt.Sprintf(format, args...)) }
		account := s.accounts[w.Pod.ServiceAccountName]
		if account == nil || account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
			say("ServiceAccount %q is missing or gives its token to pods", w.Pod.ServiceAccountName)
		}
		secret := func(name, key string) {
			if found := s.secrets[name]; found != nil {
				if key != "" && len(found.Data[key]) == 0 {
					say("Secret %s has no key %s", name, key)
				}
			} else if base := regexp.MustCompile(`-[a-z0-9]{10}$`).ReplaceAllString(name, ""); !brought(base) || base != name {
				say("there is no Secret %s", name)
			}
		}
		volumes := map[string]bool{}
		for _, name := range w.Claims {
			volumes[name] = true
		}
		for _, v := range w.Pod.Volumes {
			volumes[v.Name] = true
			switch {
			case v.ConfigMap != nil && s.configs[v.ConfigMap.Name] == nil:
				say("there is no ConfigMap %s", v.ConfigMap.Name)
			case v.Secret != nil:
				secret(v.Secret.SecretName, "")
			}
		}
		mounted := map[string]bool{}
		for _, c := range w.Pod.Containers {
			for _, m := range c.VolumeMounts {
				if mounted[m.Name] = true; !volumes[m.Name] {
					say("there is no volume %s", m.Name)
				}
			}
			for _, e := range c.Env {
				if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
					secret(e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)
				}
			}
			for _, e := range c.EnvFrom {
				if e.SecretRef != nil {
					secret(e.SecretRef.Name, "")
				}
			}
		}
		for name := range volumes {
			if !mounted[name] {
				say("nobody mounts the volume %s", name)
			}
		}
	}
	return bad
}

// reference is what docs/configuration.md says: defaults by setting, settings by
// environment variable.
type reference struct{ defaults, variables map[string]string }

// settings reads docs/configuration.md, which is generated and held up to date.
var settings = sync.OnceValues(func() (reference, error) {
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		return reference{}, err
	}
	r := reference{map[string]string{}, map[string]string{}}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9.-]+)` \\| `(WEIR_[A-Z_0-9]+)` \\| `?([^|`]*)`? \\|").FindAllStringSubmatch(string(data), -1) {
		r.defaults[m[1]], r.variables[m[2]] = strings.TrimSpace(m[3]), m[1]
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `--[a-z-]+` \\| `([a-z.-]+)` \\| `(WEIR_[A-Z_]+)` \\|").FindAllStringSubmatch(string(data), -1) {
		r.variables[m[2]] = m[1]
	}
	if len(r.defaults) < 80 {
		return r, fmt.Errorf("only %d settings found in docs/configuration.md", len(r.defaults))
	}
	return r, nil
})

// value is a setting by the weir.yaml of the build, or its default.
func (s *set) value(name string) (string, error) {
	for _, c := range s.configs {
		text, ok := c.Data["weir.yaml"]
		if !ok {
			continue
		}
		var all map[string]any
		if err := yaml.Unmarshal([]byte(text), &all); err != nil {
			return "", err
		}
		if v := field(all, strings.Split(name, ".")...); v != nil {
			if f, ok := v.(float64); ok {
				return strconv.FormatFloat(f, 'f', -1, 64), nil
			}
			return fmt.Sprint(v), nil
		}
	}
	ref, err := settings()
	if err != nil {
		return "", err
	}
	v, ok := ref.defaults[name]
	if !ok {
		return "", fmt.Errorf("there is no setting %s", name)
	}
	return v, nil
}

// number is value for one that is a number.
func (s *set) number(name string) (int64, error) {
	v, err := s.value(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(v, 10, 64)
}

// clientVariables are those of the client commands, which the console reads too.
var clientVariables = []string{"WEIR_SERVER", "WEIR_STORAGE_SERVER", "WEIR_FETCHER_SERVER", "WEIR_PARSER_SERVER"}

// settingsExist: every variable of ours is a setting's, every process of ours reads the
// one file, and the ports are those that it names.
func settingsExist(s *set) (bad []string) {
	ref, err := settings()
	if err != nil {
		return []string{err.Error()}
	}
	for _, w := range s.workloads {
		if !w.ours() {
			continue
		}
		say := func(format string, args ...any) { bad = append(bad, w.String()+": "+fmt.Sprintf(format, args...)) }
		c, file := w.container(), ""
		for _, e := range c.Env {
			if e.Name == "WEIR_CONFIG" {
				file = e.Value
			}
			if strings.HasPrefix(e.Name, "WEIR_") && ref.variables[e.Name] == "" && !slices.Contains(clientVariables, e.Name) {
				say("%s is no setting", e.Name)
			}
		}
		if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == file && m.SubPath == "weir.yaml" }) {
			say("reads %q, where nothing is mounted", file)
		}
		for name, setting := range map[string]string{"admin": "admin.listen", "grpc": "grpc.listen"} {
			listen, err := s.value(setting)
			if err != nil {
				say("%v", err)
			}
			if port, ok := w.ports()[name]; ok && listen != fmt.Sprintf(":%d", port) {
				say("port %s is %d, %s is %q", name, port, setting, listen)
			}
		}
	}
	return bad
}

// perReplica are the settings that say how much one replica of a stage does at a time,
// and those that bound it for all replicas together, by consumer.
func perReplica() map[string][2]string {
	return map[string][2]string{
		"fetch-http":   {"fetcher.concurrency", "nats.fetch.max-ack-pending"},
		"fetch-render": {"fetcher.browser.pages", "nats.fetch.max-ack-pending"},
		"parse":        {"parser.concurrency", "nats.parse.max-ack-pending"},
		"store":        {"storage.batch", "nats.store.max-ack-pending"},
	}
}

// scalersFit: no workload has two that say how many replicas it has, be it an
// autoscaler or the manifest itself; each threshold fits what one replica does, and all
// replicas together have work.
func scalersFit(s *set) (bad []string) {
	targets := map[string]string{}
	for _, sc := range s.scalers {
		say := func(format string, args ...any) { bad = append(bad, sc.Object+": "+fmt.Sprintf(format, args...)) }
		target := sc.Kind + "/" + sc.Name
		if other := targets[target]; other != "" {
			say("%s is scaled by %s too", target, other)
		}
		targets[target] = sc.Object
		i := slices.IndexFunc(s.workloads, func(w workload) bool { return w.String() == target })
		switch {
		case i < 0:
			say("there is no %s", target)
		case s.workloads[i].Replicas != nil:
			say("%s says itself that it has %d replicas", target, *s.workloads[i].Replicas)
		}
		if !sc.Stabilized {
			say("goes up and down with every wave")
		}
		if !sc.Falls {
			say("has no fallback")
		}
		if sc.Least == 0 && sc.Consumer != "fetch-render" {
			say("scales to zero")
		}
		if sc.Consumer == "" {
			continue
		}
		names, ok := perReplica()[sc.Consumer]
		if !ok {
			say("there is no consumer %s", sc.Consumer)
			continue
		}
		one, err := s.number(names[0])
		all, err2 := s.number(names[1])
		if err != nil || err2 != nil {
			say("%v %v", err, err2)
			continue
		}
		if sc.Threshold <= one || sc.Threshold > 2*one {
			say("the threshold is %d, and a replica does %d at a time: want more, at most twofold", sc.Threshold, one)
		}
		if int64(sc.Most-1)*one >= all {
			say("%d replicas do %d at a time, and %s is %d", sc.Most, int64(sc.Most)*one, names[1], all)
		}
	}
	return bad
}

// streamsFit: NATS reserves for each stream what it may hold, and declares none that
// would not fit any more. Where NATS is part of the build, there is room for all.
func streamsFit(s *set) (bad []string) {
	for name, c := range s.configs {
		m := regexp.MustCompile(`(?m)^ *max_file_store: (\d+)GiB$`).FindStringSubmatch(c.Data["nats.conf"])
		if m == nil {
			continue
		}
		room, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return []string{err.Error()}
		}
		var sum int64
		for _, stream := range []string{"tasks", "pages", "records", "results", "dead"} {
			n, err := s.number("nats." + stream + ".max-bytes")
			if err != nil {
				return []string{err.Error()}
			}
			sum += n
		}
		if sum >= room<<30 {
			bad = append(bad, fmt.Sprintf("ConfigMap/%s: all streams may hold %d MiB, and max_file_store is %d GiB", name, sum>>20, room))
		}
	}
	return bad
}
