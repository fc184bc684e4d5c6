package access_test

import (
	"strings"
	"testing"

	_ "google.golang.org/grpc/health/grpc_health_v1"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/weircrawl/weir/internal/access"
	_ "github.com/weircrawl/weir/proto/weir/extractor/v1"
	_ "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	_ "github.com/weircrawl/weir/proto/weir/parser/v1"
	_ "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	_ "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// TestRulesAreComplete finds every RPC that has no rule, and every rule without an RPC.
func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	rules := access.Rules()
	known, services := map[string]bool{}, 0
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			services++
			for k := range s.Methods().Len() {
				name := "/" + string(s.FullName()) + "/" + string(s.Methods().Get(k).Name())
				known[name] = true
				if _, ok := rules[name]; !ok {
					t.Errorf("%s has no rule: say in access.Rules who may call it", name)
				}
			}
		}
		return true
	})
	if services < 7 { // ours, health, and reflection in both versions
		t.Errorf("only %d services are linked in: the test sees too little", services)
	}
	for name, r := range rules {
		if !known[name] {
			t.Errorf("there is a rule for %s, which no service has", name)
		}
		if open := strings.HasPrefix(name, "/grpc.health."); open != (r.Least == access.Nobody) {
			t.Errorf("%s: least role %s; health alone is open", name, r.Least)
		}
		// What reads cannot change, by its name; the reverse is for people to judge.
		method := name[strings.LastIndexByte(name, '/')+1:]
		for _, verb := range []string{"Create", "Delete", "Update", "Set", "Cancel", "Pause", "Resume", "Close", "Add", "Retry"} {
			if strings.HasPrefix(method, verb) && (r.Least < access.Submit || !r.Changes) {
				t.Errorf("%s changes something by its name; its rule is %+v", name, r)
			}
		}
	}
}
