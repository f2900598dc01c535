{{- define "diffkeeper.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "diffkeeper.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "diffkeeper.labels" -}}
{{ include "diffkeeper.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "diffkeeper.directory" -}}
{{ .Values.directory.mountPath }}/{{ .Values.directory.name }}
{{- end }}

{{- define "diffkeeper.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* More only for the kernel tiers. A container's added capabilities reach only a process of root. */}}
{{- define "diffkeeper.recording" -}}
{{ include "diffkeeper.confined" . }}
{{- if ne .Values.tier "notify" }}
  add: [BPF, PERFMON]
runAsNonRoot: false
runAsUser: 0
{{- end }}
{{- end }}

{{/* The arguments that `run` and `record` share. */}}
{{- define "diffkeeper.shared" -}}
- --watch={{ include "diffkeeper.directory" . }}
- --state-dir={{ .Values.store.mountPath }}/trace
- --backend={{ .Values.tier }}
- --durability={{ .Values.store.durability }}
{{- range .Values.directory.exclude }}
- {{ printf "--exclude=%s" . | quote }}
{{- end }}
{{- end }}

{{- define "diffkeeper.mounts" -}}
- name: data
  mountPath: {{ .Values.directory.mountPath }}
- name: deltas
  mountPath: {{ .Values.store.mountPath }}
{{- end }}
