//! millrace-connector-elasticsearch
