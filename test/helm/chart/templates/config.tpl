apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  gateway.toml: |
    [openshell]
    version = 1

    [openshell.gateway]
    bind_address          = "0.0.0.0:8080"
    {{- if .Values.driver }}
    credential_drivers    = [{{ .Values.driver | quote }}]
    {{- end }}

    [openshell.gateway.gateway_jwt]
    ttl_secs         = 3600

    [openshell.drivers.kubernetes]
    topology                     = {{ .Values.topology | quote }}

    [openshell.gateway.credential_storage]
    key_encryption_key_env = "KEY"
