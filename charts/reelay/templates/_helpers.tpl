{{- define "reelay.name" -}}
{{- if contains "reelay" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-reelay" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "reelay.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which pods of one component are found: (list $ "gateway"). */}}
{{- define "reelay.selector" -}}
app.kubernetes.io/name: reelay
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "reelay.image" -}}
{{- $root := index . 0 -}}
{{ $root.Values.image.repository }}/{{ index . 1 }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end }}

{{- define "reelay.bootstrapServers" -}}
{{- if eq .Values.kafka.mode "embedded" }}{{ include "reelay.name" . }}-kafka:9092{{ else }}{{ .Values.kafka.external.bootstrapServers }}{{ end }}
{{- end }}

{{- define "reelay.kafkaProfile" -}}
{{- if eq .Values.kafka.mode "embedded" }}single{{ else }}{{ .Values.kafka.external.profile }}{{ end }}
{{- end }}

{{/* Environment by which every program finds Kafka. */}}
{{- define "reelay.kafkaEnv" -}}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ include "reelay.bootstrapServers" . | quote }}
- name: REELAY_TOPIC_PREFIX
  value: {{ .Values.kafka.topicPrefix | quote }}
- name: REELAY_KAFKA_PROFILE
  value: {{ include "reelay.kafkaProfile" . }}
{{- end }}

{{/* The rungs, the same for every program that asks for them. */}}
{{- define "reelay.rungsEnv" -}}
- name: REELAY_RUNGS
  value: {{ .Values.rungs | quote }}
{{- end }}

{{/* What every pod says about itself, by the restricted profile of Pod Security. */}}
{{- define "reelay.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "reelay.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Replicas of a component on different nodes where possible: (list $ "gateway"). */}}
{{- define "reelay.affinity" -}}
{{- $root := index . 0 -}}
affinity:
{{- if $root.Values.affinity }}
  {{- toYaml $root.Values.affinity | nindent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "reelay.selector" . | nindent 14 }}
{{- end }}
{{- end }}

{{/* Probes on the admin port. */}}
{{- define "reelay.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}
