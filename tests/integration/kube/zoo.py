"""One object of every kind that an application environment commonly has, with what the server likes to rewrite."""

ZOO = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: NAMESPACE}
spec:
  replicas: 0
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      securityContext: {fsGroup: 999, fsGroupChangePolicy: OnRootMismatch}
      containers:
        - name: db
          image: 127.0.0.1:5000/postgres:15
          volumeMounts: [{name: data, mountPath: /data}]
          readinessProbe: {exec: {command: [pg_isready]}, periodSeconds: 5}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: NAMESPACE}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: sql, port: 5432}, {name: metrics, port: 9187, targetPort: metrics}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      nodeSelector: {no-node: has-this}
      tolerations: [{operator: Exists}]
      containers: [{name: agent, image: "127.0.0.1:5000/pause:1", securityContext: {capabilities: {drop: [ALL]}}}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: seed, namespace: NAMESPACE}
spec:
  backoffLimit: 1
  template:
    spec: {restartPolicy: Never, containers: [{name: seed, image: "127.0.0.1:5000/postgres:15", command: ["true"]}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: NAMESPACE}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: nightly, image: "127.0.0.1:5000/postgres:15", command: ["true"]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: NAMESPACE}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {matchLabels: {app: backend}}}], ports: [{port: 5432}]}]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NAMESPACE, annotations: {alb.ingress.kubernetes.io/scheme: internet-facing}}
spec:
  tls: [{hosts: [a.example], secretName: tls}]
  rules:
    - host: a.example
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: db, port: {number: 5432}}}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: db, namespace: NAMESPACE}
spec:
  minReplicas: 2
  maxReplicas: 10
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}
  metrics:
    - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 30}]}
    scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db, namespace: NAMESPACE}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: db}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NAMESPACE}
rules: [{apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: NAMESPACE}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: NAMESPACE}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAMESPACE-nodes}
rules: [{apiGroups: [""], resources: [nodes], verbs: [list]}]
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits, namespace: NAMESPACE}
spec: {limits: [{type: Container, default: {cpu: 1000m, memory: 0.5Gi}, defaultRequest: {cpu: 0.1, memory: 64Mi}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota, namespace: NAMESPACE}
spec: {hard: {pods: 50, requests.cpu: "4000m"}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: spare, namespace: NAMESPACE, annotations: {capstan.dev/protect: "false"}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fixed, namespace: NAMESPACE}
immutable: true
data: {A: "1", EMPTY: ""}
binaryData: {B: AAECAw==}
---
apiVersion: v1
kind: Secret
metadata: {name: tls, namespace: NAMESPACE}
type: Opaque
data: {key: a2V5}
stringData: {text: words}
"""
