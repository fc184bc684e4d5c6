//go:build k8s

package k8s

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// The namespaces of the installation and of the site that it crawls.
const (
	namespace = "weir"
	outside   = "weir-e2e"
)

// cluster is a Kubernetes cluster, by way of kubectl.
type cluster struct {
	proxy *exec.Cmd
	url   string // of the API server, through kubectl proxy
}

// connect starts a proxy to the API server, so that a look at a pod costs no process.
func connect() (*cluster, error) {
	c := &cluster{proxy: exec.Command("kubectl", "proxy", "--port=0")}
	out, err := c.proxy.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.proxy.Start(); err != nil {
		return nil, fmt.Errorf("kubectl proxy: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kubectl proxy: %w", err), c.close())
	}
	c.url = "http://" + strings.TrimSpace(strings.TrimPrefix(line, "Starting to serve on "))
	return c, nil
}

func (c *cluster) close() error {
	_ = c.proxy.Process.Kill()
	_ = c.proxy.Wait() // the kill is all it has to say
	return nil
}

// kubectl runs a command; stdin may be empty.
func kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// get reads a path of the API server.
func (c *cluster) get(ctx context.Context, uri string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+uri, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", uri, resp.Status, data)
	}
	return data, err
}

// pod is what the tests look at of a pod.
type pod struct {
	Metadata struct {
		Name              string     `json:"name"`
		DeletionTimestamp *time.Time `json:"deletionTimestamp"`
		Labels            map[string]string
	} `json:"metadata"`
	Spec struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Phase      string `json:"phase"`
		Conditions []struct{ Type, Status string }
		Containers []struct {
			ContainerID  string `json:"containerID"`
			RestartCount int    `json:"restartCount"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

func (p pod) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True" && p.Metadata.DeletionTimestamp == nil
		}
	}
	return false
}

func (p pod) component() string { return p.Metadata.Labels["app.kubernetes.io/component"] }

// pods of the installation, of one component or (empty) all of Weir's.
func (c *cluster) pods(ctx context.Context, component string) ([]pod, error) {
	selector := "app.kubernetes.io/name%3Dweir"
	if component != "" {
		selector += ",app.kubernetes.io/component%3D" + component
	}
	data, err := c.get(ctx, "/api/v1/namespaces/"+namespace+"/pods?labelSelector="+selector)
	if err != nil {
		return nil, err
	}
	var list struct{ Items []pod }
	return list.Items, json.Unmarshal(data, &list)
}

// metric sums a metric over all its labels and all ready pods of a component.
func (c *cluster) metric(ctx context.Context, component, name string) (float64, error) {
	pods, err := c.pods(ctx, component)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, p := range pods {
		if !p.ready() {
			continue
		}
		data, err := c.get(ctx, path.Join("/api/v1/namespaces", namespace, "pods", p.Metadata.Name+":7080", "proxy/metrics"))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(data)) {
			rest, ok := strings.CutPrefix(line, name)
			if !ok || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
				continue
			}
			v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(strings.TrimSpace(rest), ' ')+1:]), 64)
			if err != nil {
				return 0, fmt.Errorf("metric %q: %w", line, err)
			}
			sum += v
		}
	}
	return sum, nil
}

// workload is what has the pods of a component.
func workload(component string) string {
	if component == "storage" {
		return "statefulset/weir-storage"
	}
	return "deployment/weir-" + component
}

// scale sets the number of replicas and waits until so many are ready and no others there.
func (c *cluster) scale(ctx context.Context, component string, n int) error {
	if _, err := kubectl(ctx, "", "-n", namespace, "scale", workload(component), "--replicas="+strconv.Itoa(n)); err != nil {
		return err
	}
	return c.settled(ctx, component, n)
}

func (c *cluster) settled(ctx context.Context, component string, n int) error {
	return await(ctx, fmt.Sprintf("%d of %s", n, component), func() (bool, error) {
		pods, err := c.pods(ctx, component)
		if err != nil {
			return false, nil // the API server may be busy; the context bounds it
		}
		ready := 0
		for _, p := range pods {
			if p.ready() {
				ready++
			}
		}
		return ready == n && len(pods) == n, nil
	})
}

// await asks every half second, as what it asks with is a process or an API server.
func await(ctx context.Context, what string, ok func() (bool, error)) error {
	return driver.Await(ctx, what, func() (bool, error) {
		done, err := ok()
		if !done && err == nil {
			driver.Pause(ctx, 450*time.Millisecond)
		}
		return done, err
	})
}

// hook runs a shell command that the environment names, with arguments.
func hook(ctx context.Context, variable string, args ...string) error {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", os.Getenv(variable), "sh"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", variable, args, err, out)
	}
	return nil
}
