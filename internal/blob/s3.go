package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Config says where a bucket is.
type S3Config struct {
	// Bucket must exist.
	Bucket string
	// Prefix of all keys, without slashes at its ends; may be empty.
	Prefix string
	// Endpoint is the server's URL. Default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
	// Amazon's own.
	Endpoint string
	// Region of the bucket. Default: AWS_REGION, or what the server says.
	Region string
	// PartSize in bytes, at least 5 MiB: longer objects are sent in parts, each of which
	// is tried again by itself, and takes so much memory. Default 16 MiB.
	PartSize uint64
}

const (
	// defaultPart lets an object of unknown length have 160 GB.
	defaultPart = 16 << 20
	// defaultEndpoint is Amazon's.
	defaultEndpoint = "https://s3.amazonaws.com"
	// tokenKey is the metadata that says which Put made an object.
	tokenKey = "Weir-Put"
)

// S3 is a store in a bucket.
type S3 struct {
	core   minio.Core
	cfg    S3Config
	prefix string // with a slash at its end, or empty
}

// s3Config reads the configuration in a URL.
func s3Config(u *url.URL) (S3Config, error) {
	cfg := S3Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	for name, values := range u.Query() {
		switch name {
		case "endpoint":
			cfg.Endpoint = values[0]
		case "region":
			cfg.Region = values[0]
		default:
			return cfg, fmt.Errorf("s3://%s: parameter %q: there are endpoint and region; credentials come from the environment", u.Host, name)
		}
	}
	return cfg, nil
}

// OpenS3 returns a store in a bucket and checks that it may be used. Credentials are
// those that Amazon's own tools find: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and
// AWS_SESSION_TOKEN), the file ~/.aws/credentials, or the role of the machine or pod.
func OpenS3(ctx context.Context, cfg S3Config) (*S3, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("s3: no bucket: want s3://bucket/prefix")
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if cfg.Endpoint == "" {
			cfg.Endpoint = os.Getenv(name)
		}
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = defaultEndpoint
	}
	if cfg.Region == "" {
		cfg.Region = os.Getenv("AWS_REGION")
	}
	if cfg.PartSize == 0 {
		cfg.PartSize = defaultPart
	}
	end, err := url.Parse(cfg.Endpoint)
	if err != nil || end.Host == "" || end.Scheme != "http" && end.Scheme != "https" || end.User != nil {
		return nil, fmt.Errorf("s3://%s: endpoint: want http://host:port or https://host:port", cfg.Bucket)
	}
	core, err := minio.NewCore(end.Host, &minio.Options{
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: 10 * time.Second}},
		}),
		Secure: end.Scheme == "https", Region: cfg.Region, MaxRetries: 5,
	})
	if err != nil {
		return nil, fmt.Errorf("s3://%s: %w", cfg.Bucket, err)
	}
	s := &S3{core: *core, cfg: cfg}
	if cfg.Prefix != "" {
		s.prefix = cfg.Prefix + "/"
	}
	ok, err := core.BucketExists(ctx, cfg.Bucket)
	if err != nil {
		return nil, s.wrap("look for the bucket", "", err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: no such bucket", s)
	}
	return s, nil
}

// Put sends an object, in parts if it is long. The server refuses a key that is
// taken; one that does not know conditional writes is asked first, which is enough for
// keys that only one writer uses.
func (s *S3) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	opt := minio.PutObjectOptions{
		UserMetadata: map[string]string{tokenKey: rand.Text()}, ContentType: "application/octet-stream", DisableContentSha256: true,
	}
	opt.SetMatchETagExcept("*")
	src := &source{r: r, size: size}
	var err error
	if size >= 0 && size <= int64(s.cfg.PartSize) {
		// In memory, so that the client can send it again.
		var data *bytes.Reader
		if data, err = inMemory(src, size); err == nil {
			_, err = s.core.PutObject(ctx, s.cfg.Bucket, s.prefix+key, data, data.Size(), "", digest(data), opt)
		}
	} else {
		if _, err := s.Head(ctx, key); err == nil {
			return s.wrap("put", key, fs.ErrExist) // before gigabytes are sent for nothing
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err = s.putParts(ctx, s.prefix+key, src, opt)
	}
	if !refused(err) {
		return s.wrap("put", key, err)
	}
	// Taken: by another, or by this very call, whose first answer got lost.
	info, herr := s.core.StatObject(ctx, s.cfg.Bucket, s.prefix+key, minio.StatObjectOptions{})
	if herr == nil && info.UserMetadata[tokenKey] == opt.UserMetadata[tokenKey] {
		return nil
	}
	return s.wrap("put", key, fmt.Errorf("%w: %w", fs.ErrExist, err))
}

// putParts sends a long object in parts. The client's own way does not make the last
// step conditional.
func (s *S3) putParts(ctx context.Context, name string, src *source, opt minio.PutObjectOptions) (err error) {
	id, err := s.core.NewMultipartUpload(ctx, s.cfg.Bucket, name, minio.PutObjectOptions{UserMetadata: opt.UserMetadata, ContentType: opt.ContentType})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// What stays is swept.
			_ = s.core.AbortMultipartUpload(context.WithoutCancel(ctx), s.cfg.Bucket, name, id)
		}
	}()
	buf := make([]byte, s.cfg.PartSize)
	var parts []minio.CompletePart
	for {
		n, rerr := io.ReadFull(src, buf)
		if src.err != nil {
			return src.err
		}
		if n == 0 && len(parts) > 0 {
			break
		}
		data := bytes.NewReader(buf[:n])
		p, err := s.core.PutObjectPart(ctx, s.cfg.Bucket, name, id, len(parts)+1, data, data.Size(), minio.PutObjectPartOptions{Sha256Hex: digest(data), DisableContentSha256: true})
		if err != nil {
			return err
		}
		parts = append(parts, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag})
		if rerr != nil {
			break
		}
	}
	done := minio.PutObjectOptions{}
	done.SetMatchETagExcept("*")
	_, err = s.core.CompleteMultipartUpload(ctx, s.cfg.Bucket, name, id, parts, done)
	return err
}

// inMemory returns all of r as a reader that can be read again.
func inMemory(r io.Reader, size int64) (*bytes.Reader, error) {
	data := make([]byte, 0, size+1) // one more: the end is seen without growing
	b := bytes.NewBuffer(data)
	if _, err := b.ReadFrom(r); err != nil {
		return nil, err
	}
	return bytes.NewReader(b.Bytes()), nil
}

// digest is what the server checks the bytes against, with TLS and without; the
// client's own way, a signature for every 64 KiB, is not understood by every server.
func digest(r *bytes.Reader) string {
	h := sha256.New()
	_, _ = r.WriteTo(h) // neither can fail
	_, _ = r.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil))
}

// refused reports whether a condition kept a write from being done.
func refused(err error) bool {
	resp, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && (resp.StatusCode == http.StatusPreconditionFailed || resp.StatusCode == http.StatusConflict)
}

// Get asks for a range of an object.
func (s *S3) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if length == 0 {
		return http.NoBody, nil
	}
	var opt minio.GetObjectOptions
	if offset > 0 || length > 0 {
		end := int64(0) // to the end
		if length > 0 {
			end = offset + length - 1
		}
		if offset == 0 && end == 0 {
			opt.Set("Range", "bytes=0-0") // which SetRange takes for everything
		} else if err := opt.SetRange(offset, end); err != nil {
			return nil, s.wrap("get", key, err)
		}
	}
	body, _, _, err := s.core.GetObject(ctx, s.cfg.Bucket, s.prefix+key, opt)
	if resp, ok := errors.AsType[minio.ErrorResponse](err); ok && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return http.NoBody, nil // it begins behind the end
	}
	if err != nil {
		return nil, s.wrap("get", key, err)
	}
	return body, nil
}

// Head asks for an object's description.
func (s *S3) Head(ctx context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	st, err := s.core.StatObject(ctx, s.cfg.Bucket, s.prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return Info{}, s.wrap("look up", key, err)
	}
	return Info{Key: key, Size: st.Size, Modified: st.LastModified}, nil
}

// List asks for pages of keys as they are needed.
func (s *S3) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		opt := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}
		if after != "" {
			opt.StartAfter = s.prefix + after
		}
		for o := range s.core.ListObjectsIter(ctx, s.cfg.Bucket, opt) {
			if o.Err != nil {
				yield(Info{}, s.wrap("list", prefix, o.Err))
				return
			}
			if !yield(Info{Key: strings.TrimPrefix(o.Key, s.prefix), Size: o.Size, Modified: o.LastModified}, nil) {
				return
			}
		}
	}
}

// Delete removes an object.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	err := s.wrap("delete", key, s.core.RemoveObject(ctx, s.cfg.Bucket, s.prefix+key, minio.RemoveObjectOptions{}))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Sweep aborts uploads in parts: the store keeps, and charges for, what was sent of
// them.
func (s *S3) Sweep(ctx context.Context, prefix string, before time.Time) error {
	for u := range s.core.ListIncompleteUploads(ctx, s.cfg.Bucket, s.prefix+prefix, true) {
		if err := s.wrap("list uploads", prefix, u.Err); errors.Is(err, fs.ErrNotExist) {
			return nil // some servers say so where there is none
		} else if err != nil {
			return err
		}
		if !u.Initiated.Before(before) {
			continue
		}
		err := s.wrap("abort an upload", u.Key, s.core.AbortMultipartUpload(ctx, s.cfg.Bucket, u.Key, u.UploadID))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// String is the store's URL without its parameters.
func (s *S3) String() string { return "s3://" + s.cfg.Bucket + "/" + s.cfg.Prefix }

// wrap says what was being done, and what the server's answer means.
func (s *S3) wrap(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	if resp, ok := errors.AsType[minio.ErrorResponse](err); ok && resp.StatusCode == http.StatusNotFound && resp.Code != minio.NoSuchBucket {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if key == "" {
		return fmt.Errorf("%s: %s: %w", s, doing, err)
	}
	return fmt.Errorf("%s: %s %s: %w", s, doing, key, err)
}
